/**
 * What becomes of some of the puts: when the writer's node calls one confirmed, and when a get on another node returns it. Owns which puts are
 * followed (few enough for the measurement not to become the load) and when the nodes are asked: whenever their tip has moved.
 */
import type { KvClient } from '@kvchain/client/kvClient'
import type { BatchAnswer, BatchCall } from '@kvchain/client/requests'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Tally } from './stats.js'
import type { Written } from './writers.js'

/** Followed a second, at most. */
const SAMPLES_PER_SECOND = 50
/** How often a node is asked for its tip: how finely latencies to confirmation are known. */
const TIP_POLL_MS = 25
/** What the daemon takes in one batch. */
const MAX_BATCH = 100
/** Keys kept for the read load. */
const MAX_KEYS = 2_000

interface Sample extends Written {
  readonly intendedMs: number
  /** Others only serve as keys to read. */
  readonly isMeasured: boolean
  /** The node that it must become visible on. */
  readonly elsewhere: number
}

export interface VisibleKey {
  readonly key: string
  readonly node: number
}

/** One node, seen through a connection that carries nothing else. */
interface Observed {
  readonly client: KvClient
  readonly unconfirmed: Set<Sample>
  readonly unseen: Set<Sample>
  /** Monotonic milliseconds at which each tip was first seen. */
  readonly tips: Map<string, number>
  /** Added since the last look. */
  readonly fresh: Set<Sample>
}

const { clock, timers, random } = systemRuntime()

export class Samples {
  readonly confirmedMs: number[] = []
  readonly visibleMs: number[] = []
  /** Puts that will never be confirmed, by what became of them. */
  readonly lost = new Tally()
  private readonly nodes: readonly Observed[]
  private readonly keys: VisibleKey[] = []
  private followed = 0
  private nextMs = 0

  constructor(clients: readonly KvClient[]) {
    this.nodes = clients.map((client) => ({
      client,
      unconfirmed: new Set(),
      unseen: new Set(),
      tips: new Map(),
      fresh: new Set(),
    }))
  }

  /** When each tip was first seen, for each node. */
  get tips(): readonly ReadonlyMap<string, number>[] {
    return this.nodes.map(({ tips }) => tips)
  }

  /** Those followed whose fate is open. */
  get open(): number {
    return this.nodes.reduce((sum, { unconfirmed, unseen }) => sum + unconfirmed.size + unseen.size, 0)
  }

  /** A key that can be read, and where; undefined as long as there is none. */
  anyKey(): VisibleKey | undefined {
    return this.keys[random.below(this.keys.length)]
  }

  /** Follows an accepted put, unless enough are followed. */
  offer(written: Written, node: number, intendedMs: number, isMeasured: boolean): void {
    if (intendedMs < this.nextMs) return
    this.nextMs = intendedMs + 1000 / SAMPLES_PER_SECOND
    const others = this.nodes.length - 1
    const elsewhere = others === 0 ? node : (node + 1 + (this.followed++ % others)) % this.nodes.length
    const sample = { ...written, intendedMs, isMeasured, elsewhere }
    this.nodes[node]?.unconfirmed.add(sample)
    this.nodes[elsewhere]?.unseen.add(sample)
    for (const index of [node, elsewhere]) this.nodes[index]?.fresh.add(sample)
  }

  /** Watches all nodes until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    await Promise.all(this.nodes.map((node, index) => this.watchNode(node, index, signal)))
  }

  private async watchNode(node: Observed, index: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { hash } = await node.client.call('chain_tip', {}, { signal })
      const isNew = !node.tips.has(hash)
      if (isNew) node.tips.set(hash, clock.monotonicMs())
      // A new tip may hold any of them. A put may also be answered only after the block that holds it was seen, so what is new is
      // asked for once whatever the tip; not more often, or the questions would become the load.
      const { unconfirmed, unseen, fresh } = node
      const due = (open: ReadonlySet<Sample>) => (isNew ? [...open] : [...fresh].filter((sample) => open.has(sample)))
      const [statuses, gets] = [due(unconfirmed), due(unseen)]
      fresh.clear()
      await this.askStatus(node, statuses, signal)
      await this.askGet(node, index, gets, signal)
      await timers.sleep(TIP_POLL_MS, signal)
    }
  }

  private askStatus({ client, unconfirmed }: Observed, samples: readonly Sample[], signal: AbortSignal): Promise<void> {
    const question = ({ txid }: Sample) => ({ method: 'tx_status', params: { txid } }) as const
    return askAll(client, samples, question, signal, (sample, answer) => {
      if (!answer.ok || !('status' in answer.result) || answer.result.status === 'pending') return
      unconfirmed.delete(sample)
      if (answer.result.status === 'confirmed') record(this.confirmedMs, sample)
      else {
        this.lost.add(answer.result.status)
        this.nodes[sample.elsewhere]?.unseen.delete(sample)
      }
    })
  }

  private askGet(
    { client, unseen }: Observed,
    node: number,
    samples: readonly Sample[],
    signal: AbortSignal,
  ): Promise<void> {
    const question = ({ key }: Sample) => ({ method: 'kv_get', params: { key } }) as const
    return askAll(client, samples, question, signal, (sample, answer) => {
      if (!answer.ok) return
      unseen.delete(sample)
      record(this.visibleMs, sample)
      const place = this.keys.length < MAX_KEYS ? this.keys.length : random.below(MAX_KEYS)
      this.keys[place] = { key: sample.key, node }
    })
  }
}

function record(latencyMs: number[], { isMeasured, intendedMs }: Sample): void {
  if (isMeasured) latencyMs.push(clock.monotonicMs() - intendedMs)
}

async function askAll(
  client: KvClient,
  samples: readonly Sample[],
  question: (sample: Sample) => BatchCall,
  signal: AbortSignal,
  onAnswer: (sample: Sample, answer: BatchAnswer) => void,
): Promise<void> {
  for (let start = 0; start < samples.length; start += MAX_BATCH) {
    const part = samples.slice(start, start + MAX_BATCH)
    const answers = await client.batch(part.map(question), { signal })
    for (const [i, sample] of part.entries()) {
      const answer = answers[i]
      if (answer !== undefined) onAnswer(sample, answer)
    }
  }
}
