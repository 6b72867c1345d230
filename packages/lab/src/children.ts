/**
 * Child processes that must not outlive this one. Owns their ending when this process ends: by itself, by an error that nobody caught, or by
 * a signal. Ends nothing but what it was given, by pid. (Against kill -9 of this process nothing helps.)
 */
import type { ChildProcess } from 'node:child_process'
import process from 'node:process'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const children = new Set<ChildProcess>()
let isWatching = false

/** Keeps the child from outliving this process. */
export function keepInReach(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child))
  child.once('error', () => children.delete(child))
  if (isWatching) return
  isWatching = true
  process.once('exit', killAll)
  for (const signal of SIGNALS) process.on(signal, onSignal)
}

function killAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

/** Whoever else listens to the signal decides how this process ends, and the exit is seen then; else it ends as it would have. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return
  killAll()
  process.removeListener(signal, onSignal)
  process.kill(process.pid, signal)
}
