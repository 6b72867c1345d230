/** The two programs, as a user starts them: through bin/. */
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { keepInReach } from './children.js'
import { LabError } from './errors.js'

export const DAEMON_LAUNCHER: string = fileURLToPath(new URL('../../../bin/kvchain', import.meta.url))
export const CLI_LAUNCHER: string = fileURLToPath(new URL('../../../bin/kvchain-cli', import.meta.url))

/** This process's environment without what would change how the programs behave. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KVCHAIN_')))
}

export interface CliResult {
  /** Null when it was ended by a signal. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  /** What it reads from stdin. */
  readonly input?: string
  /** Default 60 s; then it is told to end, which takes along what it started, and killed when it does not. */
  readonly timeoutMs?: number
}

/** Runs `kvchain-cli` and returns what came of it, whatever the exit code. Throws LabError `lab-timeout`. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return runProgram(CLI_LAUNCHER, args, options)
}

/** The same for `kvchain`: for what ends by itself, such as a daemon that cannot start. */
export function runKvchain(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return runProgram(DAEMON_LAUNCHER, args, options)
}

/** Between telling a program to end and killing it. */
const GRACE_MS = 15_000
/** Of stderr, in the error of a program that does not end. */
const QUOTED_CHARACTERS = 1_000
const { timers } = systemRuntime()

function runProgram(launcher: string, args: readonly string[], options: CliOptions): Promise<CliResult> {
  const { input, timeoutMs = 60_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [launcher, ...args], { env: cleanEnvironment() })
    keepInReach(child)
    let isLate = false
    let cancel = timers.after(timeoutMs, () => {
      isLate = true
      child.kill('SIGTERM')
      cancel = timers.after(GRACE_MS, () => child.kill('SIGKILL'))
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.once('error', (error) => {
      cancel()
      reject(new LabError('lab-start', `${launcher} could not be started: ${error.message}`, {}, error))
    })
    child.once('close', (exitCode) => {
      cancel()
      const result = { exitCode, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
      if (!isLate) resolve(result)
      else {
        const what = `${launcher} ${args.join(' ')} did not end within ${timeoutMs / 1000} s`
        reject(new LabError('lab-timeout', `${what}; it last said: ${result.stderr.slice(-QUOTED_CHARACTERS)}`))
      }
    })
    // A command that reads nothing may be gone before this arrives.
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
  })
}
