/** kvchain-cli as a user runs it, with a home folder of the test's own: beside a pipe, or on a terminal. */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(import.meta.url)
const CLI = resolve(here, '../../../../bin/kvchain-cli')
const PLAYER = resolve(here, '../onTerminal.py')

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly home: string
  readonly input?: string
  /** What it reads from descriptor 3. */
  readonly third?: string
  readonly env?: Readonly<Record<string, string>>
}

function environment({ home, env }: { home: string; env?: Readonly<Record<string, string>> }) {
  return { PATH: process.env.PATH ?? '', TERM: 'xterm', HOME: home, ...env }
}

/** Runs it with no terminal at all. */
export async function runCli(args: readonly string[], options: RunOptions): Promise<Ended> {
  const { input, third } = options
  const child = spawn(CLI, args, {
    env: environment(options),
    cwd: options.home,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    // A session of its own has no terminal.
    detached: true,
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  const [stdin, stdout, stderr, fourth] = child.stdio
  stdout.on('data', (chunk: Buffer) => out.push(chunk))
  stderr.on('data', (chunk: Buffer) => err.push(chunk))
  stdin.on('error', () => {})
  stdin.end(input ?? '')
  if (fourth instanceof Writable) {
    fourth.on('error', () => {})
    fourth.end(third ?? '')
  }
  const code = await new Promise<number | null>((done) => child.on('close', done))
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
}

export interface Played {
  readonly exitCode: number | null
  readonly output: string
  /** Steps that never came to be. */
  readonly left: number
}

/** Runs it on a terminal; each step waits for a text, then types. */
export async function playCli(
  args: readonly string[],
  steps: readonly (readonly [string, string])[],
  options: { readonly home: string; readonly seconds?: number },
): Promise<Played> {
  const child = spawn('python3', [PLAYER], { cwd: options.home })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.end(
    JSON.stringify({ args: [CLI, ...args], env: environment(options), steps, seconds: options.seconds ?? 60 }),
  )
  await new Promise((done) => child.on('close', done))
  const text = Buffer.concat(out).toString()
  if (text === '') return { exitCode: null, output: Buffer.concat(err).toString(), left: steps.length }
  return JSON.parse(text)
}
