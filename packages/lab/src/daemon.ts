/**
 * One real daemon: a child process started through bin/kvchain, with its data folder and a client. Owns how it comes up, how it ends (asked,
 * told, or killed like in a power cut) and that it comes back on the same folder and ports. What it writes to stderr is kept in the folder.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { NodeStatus } from '@kvchain/client/contract/node'
import { KvClient } from '@kvchain/client/kvClient'
import { defaultSocketPath } from '@kvchain/client/socketPath'
import { UnixTransport } from '@kvchain/client/unixTransport'
import { assert } from '@kvchain/core/errors'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { keepInReach } from './children.js'
import { LabError } from './errors.js'
import { type CliOptions, type CliResult, cleanEnvironment, DAEMON_LAUNCHER, runCli } from './launchers.js'
import { type Found, type WaitOptions, waitUntil } from './wait.js'

export interface DaemonOptions {
  readonly dataDir: string
  /** A built-in network or a file. Default dev. */
  readonly network?: string
  /** Default one port of 127.0.0.1 that the system chooses; a restart takes the same port. */
  readonly listen?: readonly string[]
  readonly bootstrap?: readonly string[]
  /** Whether it looks for others on the LAN. Default false. */
  readonly mdns?: boolean
  /** Whether it connects to peers that others tell of. Default true. */
  readonly peerExchange?: boolean
  /** true: in the way of the network. Default false. */
  readonly mine?: boolean | 'always' | 'pending'
  /** Default 1. */
  readonly minerThreads?: number
  /** Default info. */
  readonly logLevel?: string
  /** Further arguments, as on the command line. */
  readonly args?: readonly string[]
  /** A command that runs it, with its arguments, such as one that enters a network namespace: it must become the daemon, not start one. */
  readonly within?: readonly string[]
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>>
  /** How long it may take to be ready. Default 30 s. */
  readonly startTimeoutMs?: number
}

/** How a process ended: one of the two is null. */
export interface DaemonExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface StopOptions {
  /** How long each way of ending it may take before the next, rougher one. Default 10 s. */
  readonly timeoutMs?: number
}

/** A run of the program, from its start to its end. */
interface Run {
  readonly child: ChildProcess
  readonly exit: Promise<DaemonExit>
  readonly client: KvClient
  ended: boolean
}

const READY_LINE = 'kvchain: ready'
const LOG_FILE = 'daemon.log'
/** Lines of its own that a daemon which failed to start is quoted with. */
const QUOTED_LINES = 12

const { timers } = systemRuntime()

export class Daemon {
  private run: Run | undefined
  private addresses_: readonly string[] = []

  private constructor(private options: DaemonOptions) {}

  /** Resolves when it is ready for clients and peers. Throws LabError `lab-start`, with what it last said. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options)
    await daemon.launch()
    return daemon
  }

  get dataDir(): string {
    return this.options.dataDir
  }

  /** What it wrote to stderr in all its runs. */
  get logFile(): string {
    return join(this.dataDir, LOG_FILE)
  }

  get pid(): number {
    return this.current.child.pid ?? -1
  }

  /** A client of its own; a restart brings a new one. */
  get client(): KvClient {
    return this.current.client
  }

  get isRunning(): boolean {
    return this.run !== undefined && !this.run.ended
  }

  /** Where it listens for peers, each with its peer id. Of the last run when it does not run. */
  get addresses(): readonly string[] {
    return this.addresses_
  }

  status(): Promise<NodeStatus> {
    return this.client.status()
  }

  /** Another connection of the caller's own, to be closed by the caller. */
  connect(): KvClient {
    return new KvClient(new UnixTransport({ path: defaultSocketPath(this.dataDir) }))
  }

  /** Runs kvchain-cli on this daemon. */
  cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return runCli(['--data-dir', this.dataDir, ...args], options)
  }

  /**
   * Asks `condition` again and again; returns its first answer that is neither undefined, null nor false. Throws LabError `lab-timeout`, or
   * `lab-exit` as soon as the daemon is found dead.
   */
  waitFor<T>(condition: (daemon: Daemon) => T | Promise<T>, options: WaitOptions): Promise<Found<T>> {
    return waitUntil(() => condition(this.alive()), options)
  }

  /** Resolves with how it ended, when it has: for a daemon that is expected to end by itself. */
  exited(): Promise<DaemonExit> {
    return this.current.exit
  }

  /** Ends it as a power cut would, without a word. Resolves when the process is gone. */
  async kill9(): Promise<void> {
    const run = this.alive().current
    run.child.kill('SIGKILL')
    await run.exit
  }

  /** Asks it to stop; tells it to, when it does not answer or has not ended in time; then kills it. Resolves with how it ended. */
  async stop({ timeoutMs = 10_000 }: StopOptions = {}): Promise<DaemonExit> {
    const { run } = this
    if (run === undefined) return { code: null, signal: null }
    const ways = [
      () => run.client.stop({ timeoutMs: timeoutMs / 4 }),
      () => run.child.kill('SIGTERM'),
      () => run.child.kill('SIGKILL'),
    ]
    for (const way of ways) {
      if (run.ended) break
      try {
        await way()
      } catch {
        // No answer: on to the next way.
        continue
      }
      await within(run.exit, timeoutMs)
    }
    return run.exit
  }

  /** Starts it again on the same folder and ports, stopping it first if it runs. `changes` are kept. */
  async restart(changes: Partial<Omit<DaemonOptions, 'dataDir'>> = {}): Promise<void> {
    if (this.isRunning) await this.stop()
    this.options = { ...this.options, listen: this.listenAgain(), ...changes }
    await this.launch()
  }

  private get current(): Run {
    if (this.run === undefined) throw new LabError('lab-exit', `the daemon of ${this.dataDir} never ran`)
    return this.run
  }

  private alive(): this {
    if (this.isRunning) return this
    throw new LabError('lab-exit', `the daemon of ${this.dataDir} is not running`, { dataDir: this.dataDir })
  }

  private async launch(): Promise<void> {
    await mkdir(this.dataDir, { recursive: true, mode: 0o700 })
    const logStart = await sizeOf(this.logFile)
    const log = await open(this.logFile, 'a', 0o600)
    try {
      const daemon = [process.execPath, DAEMON_LAUNCHER, 'daemon', ...toArguments(this.options)]
      const [program = process.execPath, ...args] = [...(this.options.within ?? []), ...daemon]
      // Its own process group: Ctrl-C in a terminal reaches this process alone, which then ends the daemons in its own way.
      const child = spawn(program, args, {
        env: { ...cleanEnvironment(), ...this.options.env },
        stdio: ['ignore', 'pipe', log.fd],
        detached: true,
      })
      keepInReach(child)
      const run = { child, exit: exitOf(child), client: this.connect(), ended: false }
      this.run = run
      void run.exit.then(() => {
        run.ended = true
        return run.client.close()
      })
      assert(child.stdout !== null, 'stdout is a pipe')
      await this.ready(run, child.stdout, logStart)
      this.addresses_ = (await run.client.status()).addresses
    } catch (error) {
      this.run?.child.kill('SIGKILL')
      await this.run?.exit
      throw error
    } finally {
      await log.close()
    }
  }

  /** Resolves at the line that says so; ends the daemon and throws when it does not come. */
  private async ready(run: Run, stdout: Readable, logStart: number): Promise<void> {
    const { startTimeoutMs = 30_000 } = this.options
    const said: string[] = []
    const isReady = new Promise<true>((resolve) => {
      createInterface({ input: stdout }).on('line', (line) => {
        if (line === READY_LINE) resolve(true)
        if (said.length < QUOTED_LINES) said.push(line)
      })
    })
    const outcome = await within(Promise.race([isReady, run.exit]), startTimeoutMs)
    if (outcome === true) return
    const why =
      outcome === undefined
        ? `was not ready after ${startTimeoutMs / 1000} s`
        : `ended with ${outcome.code ?? outcome.signal} before it was ready`
    const written = (await readFile(this.logFile)).subarray(logStart).toString().trimEnd().split('\n')
    const lines = [...said, ...written].filter((line) => line !== '').slice(-QUOTED_LINES)
    throw new LabError('lab-start', `the daemon of ${this.dataDir} ${why}:\n${lines.join('\n')}`, {
      dataDir: this.dataDir,
      ...(outcome === undefined ? {} : { exitCode: outcome.code, signal: outcome.signal }),
    })
  }

  /** What it listened on, with the ports that the system chose. */
  private listenAgain(): readonly string[] {
    return listenOf(this.options).map((wanted) => {
      const [start] = wanted.split('/tcp/0')
      if (start === undefined || start === wanted) return wanted
      const isWildcard = start.endsWith('/0.0.0.0') || start.endsWith('/::')
      const taken = this.addresses_.find((address) => isWildcard || address.startsWith(`${start}/tcp/`))
      const port = taken === undefined ? undefined : /\/tcp\/(\d+)/.exec(taken)?.[1]
      return port === undefined ? wanted : `${start}/tcp/${port}`
    })
  }
}

function listenOf({ listen }: DaemonOptions): readonly string[] {
  return listen ?? ['/ip4/127.0.0.1/tcp/0']
}

function toArguments(options: DaemonOptions): string[] {
  const { network = 'dev', dataDir, bootstrap = [], mdns = false, mine = false, minerThreads = 1 } = options
  return [
    ...['--network', network, '--data-dir', dataDir],
    ...listenOf(options).flatMap((address) => ['--listen', address]),
    ...bootstrap.flatMap((address) => ['--bootstrap', address]),
    ...(mdns ? [] : ['--no-mdns']),
    ...(options.peerExchange === false ? ['--no-peer-exchange'] : []),
    ...(mine === false ? [] : [mine === true ? '--mine' : `--mine=${mine}`]),
    ...['--miner-threads', String(minerThreads), '--log-level', options.logLevel ?? 'info'],
    ...(options.args ?? []),
  ]
}

function exitOf(child: ChildProcess): Promise<DaemonExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    // Could not even be started: the launcher says nothing then, and neither does the log.
    child.once('error', () => resolve({ code: null, signal: null }))
  })
}

/** The result of `work`, or undefined when it takes longer. */
async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let cancel = () => {}
  const late = new Promise<undefined>((resolve) => {
    cancel = timers.after(timeoutMs, () => resolve(undefined))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    cancel()
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch {
    return 0
  }
}
