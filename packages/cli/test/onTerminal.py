"""Runs a program on a terminal of its own and plays a person. Reads {args, env, steps, seconds} as JSON from standard input: each step waits for a
text to appear after the last one, then types. Writes {exitCode, output} when the program has ended; exitCode is null when it had to be killed."""
import json, os, pty, select, signal, sys, time


def main():
    given = json.load(sys.stdin)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(given['args'][0], given['args'], given['env'])
    output, seen, steps = b'', 0, list(given['steps'])
    deadline = time.monotonic() + given['seconds']
    while time.monotonic() < deadline:
        while steps and steps[0][0].encode() in output[seen:]:
            wanted, typed = steps.pop(0)
            seen += output[seen:].index(wanted.encode()) + len(wanted.encode())
            os.write(terminal, typed.encode())
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            chunk = b''
        if chunk == b'':
            break
        output += chunk
    else:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    json.dump({'exitCode': code if code >= 0 else None, 'output': output.decode(errors='replace'), 'left': len(steps)}, sys.stdout)


main()
