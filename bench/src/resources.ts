/** What processes cost, and what machine this is. Process figures come from /proc and are absent where there is none. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface ProcessCost {
  readonly cpuSeconds: number
  /** Of the first thread alone: the event loop. The rest is worker threads, the thread pool and the garbage collector. */
  readonly mainThreadCpuSeconds: number
  readonly peakRssBytes: number
}

/** Linux counts CPU time for /proc in hundredths of a second, whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100

/** Undefined elsewhere than on Linux, or when there is no such process. */
export async function readProcessCost(pid: number): Promise<ProcessCost | undefined> {
  try {
    const [all, main, status] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/task/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
    ])
    const peakKib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
    return { cpuSeconds: cpuSeconds(all), mainThreadCpuSeconds: cpuSeconds(main), peakRssBytes: peakKib * 1024 }
  } catch {
    return undefined
  }
}

/** Memory of a process that is its own alone, without the files that it maps, which the system takes back when it needs them. */
export async function readOwnBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

/** Fields 14 and 15, user and system time. The second field is a name in brackets that may hold anything, so counting begins after it. */
function cpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** CPU seconds that the whole machine has spent on anything since it was started; undefined elsewhere than on Linux. */
export async function readMachineCpuSeconds(): Promise<number | undefined> {
  try {
    const [first = ''] = (await readFile('/proc/stat', 'utf8')).split('\n')
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = first.split(/ +/).slice(1).map(Number)
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
  } catch {
    return undefined
  }
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly system: string
  readonly node: string
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
  }
}

/** What is measured: the commit, and whether the tree differs from it. `unknown` outside a repository. */
export async function describeCommit(): Promise<{ commit: string; dirty: boolean }> {
  const git = promisify(execFile)
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  try {
    const commit = await git('git', ['rev-parse', 'HEAD'], { cwd })
    // What earlier runs recorded makes no difference to what is measured.
    const changes = await git('git', ['status', '--porcelain', '--', ':/', ':(top,exclude)bench/results'], { cwd })
    return { commit: commit.stdout.trim(), dirty: changes.stdout !== '' }
  } catch {
    return { commit: 'unknown', dirty: false }
  }
}
