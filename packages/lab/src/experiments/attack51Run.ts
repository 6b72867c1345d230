/**
 * The 51 % attack on real daemons: who owns a key sells it on the public chain, and meanwhile mines a branch of his own in secret, where the
 * same versions of the key say otherwise. Owns the trial: the network, the shares of the hash power, the release of the branch, and what the clients of the
 * honest daemons saw.
 */
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChainReorg } from '@kvchain/client/contract/chain'
import type { KvClient } from '@kvchain/client/kvClient'
import { readSigningNetwork, SigningClient } from '@kvchain/client/signingClient'
import { signMessage } from '@kvchain/node/crypto/sodium'
import { loadIdentity } from '@kvchain/node/identity'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Daemon, type DaemonOptions } from '../daemon.js'
import { TempDir } from '../tempDir.js'
import { waitUntil } from '../wait.js'
import { measureHashRate, writeOwnNetwork } from './laboratory.js'
import { Pace, send } from './pace.js'
import type { Bench } from './report.js'

export interface AttackOptions {
  /** Of the whole hash power, each above 0 and below 1. */
  readonly shares: readonly number[]
  /** For each share. */
  readonly trials: number
  /** How many the buyer waits for. */
  readonly confirmations: number
  /** How long the attacker goes on after that before he gives up. */
  readonly patienceSeconds: number
  /** Of a block, when one thread searches alone. */
  readonly blockSeconds: number
}

export interface AttackResult {
  readonly share: number
  readonly trial: number
  /** Blocks since the fork when the branch was released. */
  readonly honestBlocks: number
  readonly attackerBlocks: number
  /** The attacker's share of the hash rates that the daemons say they have. */
  readonly hashShare: number
  readonly succeeded: boolean
  /** What the honest daemons tell of the reorg; none when there was none. */
  readonly reorg: ChainReorg | undefined
  /** From the release, the start of the attacker's daemon included, to the record of the reorg; NaN when there was none. */
  readonly alarmMs: number
  /** What the watch of the key told the client of the miner, and of the other honest daemon. */
  readonly minerSaw: string
  readonly otherSaw: string
}

const KEY = 'deed'
const SOLD = ['sold to alice', 'alice moves in']
const FORGED = ['sold to mallory', 'mallory moves in']
const PATIENCE_MS = 120_000
const POLL_MS = 50
/** Longer than any trial is sensible. */
const MAX_RACE_MS = 600_000

/** Every share, trial after trial. */
export async function runAttack51(options: AttackOptions, bench: Bench): Promise<AttackResult[]> {
  const { shares, trials, blockSeconds } = options
  const rate = await measureHashRate(bench.signal)
  const folder = await TempDir.make('attack')
  const results: AttackResult[] = []
  try {
    const hashes = BigInt(Math.max(16, Math.round(rate * blockSeconds)))
    const network = await writeOwnNetwork(folder.path, { hashes })
    await mineCommonPast(join(folder.path, 'past'), network)
    for (const share of shares) {
      for (let trial = 1; trial <= trials; trial++) {
        bench.onProgress(results.length, shares.length * trials, `share ${share}, trial ${trial}`)
        const path = join(folder.path, `${results.length}`)
        results.push({
          share,
          trial,
          ...(await new Trial(path, network, options, bench.signal).run(folder.path, share)),
        })
      }
    }
  } finally {
    await folder.remove()
  }
  return results
}

/** What all daemons begin with, so that they need not have met to be on one chain. The account of this folder is the attacker's. */
async function mineCommonPast(dataDir: string, network: string): Promise<void> {
  const daemon = await Daemon.start({ dataDir, network, mine: 'pending', logLevel: 'warn' })
  try {
    const { txid } = await daemon.client.put('before', 'the fork')
    await daemon.client.waitFor(txid, { timeoutMs: PATIENCE_MS })
  } finally {
    await daemon.stop()
  }
}

type Outcome = Omit<AttackResult, 'share' | 'trial'>

class Trial {
  private readonly daemons: Daemon[] = []
  private readonly paces: Pace[] = []
  private readonly watches = new AbortController()

  constructor(
    private readonly path: string,
    private readonly network: string,
    private readonly options: AttackOptions,
    private readonly signal: AbortSignal,
  ) {}

  async run(folder: string, share: number): Promise<Outcome> {
    this.signal.throwIfAborted()
    const hangUp = () => void Promise.all(this.daemons.map(({ client }) => client.close()))
    this.signal.addEventListener('abort', hangUp, { once: true })
    try {
      return await this.attack(join(folder, 'past'), share)
    } finally {
      this.signal.removeEventListener('abort', hangUp)
      this.watches.abort()
      await Promise.all(this.paces.map((pace) => pace.end()))
      for (const { pid } of this.daemons) send(pid, 'SIGCONT')
      await Promise.all(this.daemons.map((daemon) => daemon.stop()))
    }
  }

  private async attack(past: string, share: number): Promise<Outcome> {
    const miner = await this.start('miner', past, {})
    const other = await this.start('other', past, { bootstrap: miner.addresses })
    const attacker = await this.start('attacker', past, {})
    const fork = (await other.client.call('chain_tip', {})).height
    const seen = [watchKey(miner, this.watches.signal), watchKey(other, this.watches.signal)] as const
    await this.sell(past, other.client)
    for (const value of FORGED) await attacker.client.put(KEY, value)
    // Both begin to mine now; whoever has the smaller share is slowed down to it.
    await Promise.all([miner, attacker].map((daemon) => startHeld(daemon)))
    this.paces.push(
      new Pace(attacker.pid, Math.min(1, share / (1 - share))),
      new Pace(miner.pid, Math.min(1, (1 - share) / share)),
    )
    const race = await this.race(fork, other, attacker)
    const hashShare = await this.hashShare(miner, attacker)
    const { releasedMs, succeeded } = await this.release(miner, other, attacker)
    const reorg = (await other.client.reorgs({ limit: 1 }))[0]
    await waitUntil(() => !succeeded || seen.every(({ events }) => events.includes('retracted 1')), {
      what: 'word of the retraction',
      timeoutMs: PATIENCE_MS,
      signal: this.signal,
    })
    return {
      ...race,
      hashShare,
      succeeded,
      reorg: succeeded ? reorg : undefined,
      alarmMs: succeeded && reorg !== undefined ? reorg.timeMs - releasedMs : Number.NaN,
      minerSaw: seen[0].events.join(', '),
      otherSaw: seen[1].events.join(', '),
    }
  }

  /** A daemon on a copy of the common past, which does not mine. The attacker has the account of that past, the others one of their own. */
  private async start(
    name: 'miner' | 'other' | 'attacker',
    past: string,
    options: Partial<DaemonOptions>,
  ): Promise<Daemon> {
    const dataDir = join(this.path, name)
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await cp(join(past, 'db'), join(dataDir, 'db'), { recursive: true })
    if (name === 'attacker') await cp(join(past, 'account.key'), join(dataDir, 'account.key'))
    const daemon = await Daemon.start({ logLevel: 'warn', ...options, dataDir, network: this.network })
    this.daemons.push(daemon)
    return daemon
  }

  /** The public versions of the key, signed by its owner and handed to an honest daemon. */
  private async sell(past: string, client: KvClient): Promise<void> {
    const { account } = await loadIdentity(past, systemRuntime().random)
    const signer = {
      publicKey: account.publicKey,
      sign: (message: Uint8Array) => signMessage(message, account.secretKey),
    }
    const owner = new SigningClient(client, signer, await readSigningNetwork(client, []))
    for (const value of SOLD) await owner.call('kv_put', { key: KEY, value })
  }

  /** Until the buyer has his confirmations and the attacker is ahead, or out of patience. */
  private async race(
    fork: number,
    honest: Daemon,
    attacker: Daemon,
  ): Promise<Pick<Outcome, 'honestBlocks' | 'attackerBlocks'>> {
    const { clock } = systemRuntime()
    const patienceMs = 1000 * this.options.patienceSeconds
    let confirmedMs = Number.POSITIVE_INFINITY
    return waitUntil(
      async () => {
        const [tip, secret, history] = await Promise.all([
          honest.client.call('chain_tip', {}, { timeoutMs: PATIENCE_MS }),
          attacker.client.call('chain_tip', {}, { timeoutMs: PATIENCE_MS }),
          honest.client.get(KEY, { timeoutMs: PATIENCE_MS }),
        ])
        if (history === undefined || history.confirmations < this.options.confirmations) return false
        confirmedMs = Math.min(confirmedMs, clock.monotonicMs())
        const isAhead = secret.height > tip.height
        if (!isAhead && clock.monotonicMs() - confirmedMs < patienceMs) return false
        return { honestBlocks: tip.height - fork, attackerBlocks: secret.height - fork }
      },
      { what: 'the end of the race', timeoutMs: MAX_RACE_MS, everyMs: POLL_MS, signal: this.signal },
    )
  }

  private async hashShare(miner: Daemon, attacker: Daemon): Promise<number> {
    const [honest, secret] = await Promise.all(
      [miner, attacker].map(async ({ client }) => (await client.status({ timeoutMs: PATIENCE_MS })).mining.hashRate),
    )
    return (secret ?? 0) / ((secret ?? 0) + (honest ?? 0))
  }

  /**
   * The attacker joins the honest network, at its other daemon. On a real network that takes no time against a block; here daemons start again for it.
   * So the race is over at this moment: the honest miner is killed, and comes back once the other daemon has decided, without mining. `releasedMs`
   * is the wall time at which the attacker's daemon was told to join.
   */
  private async release(
    miner: Daemon,
    other: Daemon,
    attacker: Daemon,
  ): Promise<{ releasedMs: number; succeeded: boolean }> {
    await Promise.all(this.paces.map((pace) => pace.end()))
    await miner.kill9()
    const releasedMs = systemRuntime().clock.nowMs()
    await attacker.restart({ bootstrap: other.addresses, mine: false })
    await this.agree([other, attacker])
    await miner.restart({ bootstrap: other.addresses, mine: false })
    return { releasedMs, succeeded: await this.agree([other, attacker, miner]) }
  }

  /** Resolves, when all of them hold the same, with whether it is what the attacker wanted. */
  private async agree(daemons: readonly Daemon[]): Promise<boolean> {
    const { isForged } = await waitUntil(
      async () => {
        const entries = await Promise.all(daemons.map(({ client }) => client.get(KEY)))
        const [first] = entries
        if (first === undefined || entries.some((entry) => entry?.value !== first.value)) return undefined
        return { isForged: first.value === FORGED.at(-1) }
      },
      { what: 'agreement on the key', timeoutMs: PATIENCE_MS, everyMs: POLL_MS, signal: this.signal },
    )
    return isForged
  }
}

/** Starts the daemon again, to mine from the moment that it is continued on: both miners begin together. */
async function startHeld(daemon: Daemon): Promise<void> {
  await daemon.restart({ mine: 'always' })
  send(daemon.pid, 'SIGSTOP')
}

interface Seen {
  /** Such as `put 1 "sold to alice"`, in their order. */
  readonly events: string[]
}

/** Follows the key from now on, over restarts of the daemon. */
function watchKey(daemon: Daemon, signal: AbortSignal): Seen {
  const events: string[] = []
  const follow = async () => {
    let cursor: string | undefined
    while (!signal.aborted) {
      const client = daemon.connect()
      try {
        const options = { signal, settled: true, ...(cursor === undefined ? {} : { cursor }) }
        for await (const page of client.watch({ key: KEY }, options)) {
          ;({ cursor } = page)
          for (const { kind, version, value } of page.events) {
            events.push(value === undefined ? `${kind} ${version}` : `${kind} ${version} "${value}"`)
          }
        }
      } catch {
        // The daemon starts again; the cursor goes on where it was.
        await systemRuntime()
          .timers.sleep(POLL_MS, signal)
          .catch(() => {})
      } finally {
        await client.close()
      }
    }
  }
  void follow()
  return { events }
}
