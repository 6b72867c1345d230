/**
 * The LAN demo: three daemons that are told nothing of each other meet by mDNS, keep what is put, and outlive the sudden death of one. Tells it as
 * it happens, with the commands that a user would type. Everything in it is real, down to the processes; it leaves nothing behind.
 */
import { basename, join } from 'node:path'
import process from 'node:process'
import { KvError } from '@kvchain/core/errors'
import { Daemon } from '@kvchain/lab/daemon'
import { writePrivateNetwork } from '@kvchain/lab/networks'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { BenchError } from './errors.js'

const GREETING = { key: 'greeting', value: 'hello from node 2' }
/** Put while node 3 is dead, by turns on the two that live. */
const MISSED_PUTS = 20

const { clock } = systemRuntime()
const startedMs = clock.monotonicMs()

function tell(line: string): void {
  const seconds = ((clock.monotonicMs() - startedMs) / 1000).toFixed(1)
  process.stdout.write(`${seconds.padStart(6)} s  ${line}\n`)
}

class Demo {
  private readonly daemons: Daemon[] = []

  constructor(
    private readonly folder: TempDir,
    private readonly network: string,
  ) {}

  async play(): Promise<void> {
    await this.startAll()
    await this.meet()
    await this.putAndGet()
    const missed = await this.killAndPut()
    await this.returnAndCompare(missed)
  }

  async end(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.stop()))
  }

  private async startAll(): Promise<void> {
    for (const number of [1, 2, 3]) {
      const mine = number === 1
      this.tellStart(number, mine ? ' --mine' : '')
      const dataDir = join(this.folder.path, String(number))
      const daemon = await Daemon.start({ dataDir, network: this.network, mdns: true, mine })
      this.daemons.push(daemon)
      const { peerId } = await daemon.status()
      tell(`node ${number} is up: process ${daemon.pid}, peer …${peerId.slice(-6)}${mine ? ', and mines' : ''}`)
    }
  }

  private async meet(): Promise<void> {
    const ids = await Promise.all(this.daemons.map(async (daemon) => (await daemon.status()).peerId))
    const haveMet = async () => {
      const known = await Promise.all(
        this.daemons.map(async (daemon) => (await daemon.client.peers()).map((p) => p.peerId)),
      )
      return known.every((peers, i) => ids.every((id, j) => i === j || peers.includes(id)))
    }
    const what = 'a meeting of the three by mDNS (does this machine allow multicast on UDP port 5353?)'
    await waitUntil(haveMet, { what })
    tell('nobody was told an address: they have met by mDNS, each knows the other two')
  }

  private async putAndGet(): Promise<void> {
    await this.cli(2, ['put', GREETING.key, GREETING.value, '--wait'])
    await this.at(3).waitFor(async ({ client }) => client.get(GREETING.key), { what: 'the greeting on node 3' })
    const value = await this.cli(3, ['get', GREETING.key])
    check(value === GREETING.value, `node 3 returned ${JSON.stringify(value)}`)
    tell('put on node 2, mined by node 1, read on node 3')
  }

  /** Returns what was put meanwhile. */
  private async killAndPut(): Promise<Map<string, string>> {
    tell(`$ kill -9 ${this.at(3).pid}`)
    await this.at(3).kill9()
    tell('node 3 is dead; the other two go on')
    const puts = new Map<string, string>()
    const txids: string[] = []
    for (let i = 1; i <= MISSED_PUTS; i++) {
      const key = `missed/${i}`
      puts.set(key, `written while node 3 was dead, ${i}`)
      const { txid } = await this.at(1 + (i % 2)).client.put(key, puts.get(key) ?? '')
      txids.push(txid)
    }
    for (const [i, txid] of txids.entries())
      await this.at(1 + ((i + 1) % 2)).client.waitFor(txid, { timeoutMs: 30_000 })
    const { tip } = await this.at(1).status()
    tell(`${puts.size} more puts on nodes 1 and 2, all confirmed; the chain is at height ${tip.height}`)
    return puts
  }

  private async returnAndCompare(missed: ReadonlyMap<string, string>): Promise<void> {
    this.tellStart(3)
    await this.at(3).restart()
    const { height } = (await this.at(3).status()).tip
    tell(`node 3 is up again, at height ${height} when it could first be asked`)
    const tips = await waitUntil(
      async () => {
        const all = await Promise.all(this.daemons.map(async (daemon) => (await daemon.status()).tip))
        return all.every(({ hash }) => hash === all[0]?.hash) && all
      },
      { what: 'the same tip on all three' },
    )
    for (const [number, { height, hash, stateRoot }] of tips.entries()) {
      tell(`node ${number + 1}: height ${height}, tip ${hash.slice(0, 16)}…, state root ${stateRoot.slice(0, 16)}…`)
    }
    check(new Set(tips.map(({ stateRoot }) => stateRoot)).size === 1, 'the state roots differ')
    for (const [key, value] of [...missed, [GREETING.key, GREETING.value] as const]) {
      const entry = await this.at(3).client.get(key)
      check(entry?.value === value, `${key} on node 3 is ${JSON.stringify(entry?.value)}`)
      check(entry?.version === 1, `${key} on node 3 was written ${entry?.version} times`)
    }
    tell(`same tip, same state root; all ${missed.size + 1} puts are on node 3, each exactly once`)
  }

  private tellStart(number: number, flags = ''): void {
    tell(`$ kvchain daemon --network ${basename(this.network)} --data-dir ${number}${flags}`)
  }

  /** Runs kvchain-cli for a node and shows it, as it would look in the folder of the demo. */
  private async cli(number: number, args: readonly string[]): Promise<string> {
    const typed = args.map((arg) => (/^[\w./=-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ')
    tell(`$ kvchain-cli --data-dir ${number} ${typed}`)
    const { exitCode, stdout, stderr } = await this.at(number).cli(args)
    check(exitCode === 0, `kvchain-cli ended with ${exitCode}: ${stderr.trim()}`)
    for (const line of stdout.trimEnd().split('\n')) tell(`  ${line}`)
    return stdout
  }

  private at(number: number): Daemon {
    const daemon = this.daemons[number - 1]
    if (daemon === undefined) throw new BenchError('bench-failed', `node ${number} was not started`)
    return daemon
  }
}

function check(condition: boolean, otherwise: string): void {
  if (!condition) throw new BenchError('bench-failed', otherwise)
}

async function main(): Promise<number> {
  const folder = await TempDir.make('demo')
  // The LAN is everybody's: on the real dev network any daemon of a neighbour would join in.
  const network = await writePrivateNetwork('dev', folder.path)
  const demo = new Demo(folder, network)
  let isInterrupted = false
  const interrupt = () => {
    // A second signal ends this process at once, and the daemons with it.
    if (isInterrupted) process.exit(130)
    isInterrupted = true
    tell('interrupted')
    // What is being played fails at its next step.
    void demo.end()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  tell(`in ${folder.path}, on a network of its own that is otherwise dev`)
  try {
    await demo.play()
    await demo.end()
    await folder.remove()
    tell('all three are stopped, their folders are gone')
    return 0
  } catch (error) {
    if (isInterrupted) {
      await demo.end()
      await folder.remove()
      return 130
    }
    tell(`the demo failed: ${error instanceof KvError ? error.message : String(error)}`)
    await demo.end()
    tell(`what the daemons wrote is in ${folder.path}/*/daemon.log`)
    return 1
  }
}

process.exitCode = await main()
