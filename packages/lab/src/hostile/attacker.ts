/**
 * A peer that speaks the protocols and may do with them what it likes. Owns being connected, and the making of transactions, headers and frames that
 * look as they should; what it does with them is in behaviours.ts.
 */
import { RPC } from '@chainsafe/libp2p-gossipsub/message'
import { type IncludedTransaction, transactionRoot } from '@kvchain/core/block'
import { type Genesis, makeGenesis } from '@kvchain/core/genesis'
import { type Header, headerCommitment, headerHash } from '@kvchain/core/header'
import type { Network, Params } from '@kvchain/core/params'
import { signTransaction, type Transaction, valueDigest } from '@kvchain/core/transaction'
import { type KeyPair, keyPairFromSeed, sha256, signMessage } from '@kvchain/node/crypto/sodium'
import { PowPool } from '@kvchain/node/miner/powPool'
import { encodeAnnouncement } from '@kvchain/node/net/announcement'
import { Fetcher, PROTOCOLS } from '@kvchain/node/net/fetcher'
import { Gossip, TOPICS, type Topic, topicName } from '@kvchain/node/net/gossip'
import { Host } from '@kvchain/node/net/host/host'
import { encodeStatus, MAX_LOCATOR } from '@kvchain/node/net/messages'
import { Streams } from '@kvchain/node/net/streams/streams'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { waitUntil } from '../wait.js'

const runtime = systemRuntime()
const MESHSUB = '/meshsub/1.1.0'
/** After so many dials in vain it counts as shut out. */
const VAIN_DIALS = 5
const VAIN_PAUSE_MS = 200
/** Before it begins it is more patient: some ten seconds. */
const MOST_DIALS = 10
const SERVED = { maxConcurrent: 1_000, maxPerPeer: 1_000, timeoutMs: 120_000, maxRequestBytes: 1 << 20 }
const OPEN_TIMEOUT_MS = 5_000
const DRAIN_TIMEOUT_MS = 500
/** Nonces of one search: far more than any block here takes. */
const RANGE = 2 ** 40

export type HostileStream = Awaited<ReturnType<Host['openStream']>>
type Answer = (request: Uint8Array) => Promise<Uint8Array>

export class Attacker {
  readonly genesis: Genesis
  readonly params: Params
  readonly host: Host
  readonly streams: Streams
  readonly gossip: Gossip
  readonly fetcher: Fetcher
  readonly signal: AbortSignal = new AbortController().signal
  /** What it did, and how often. */
  readonly counts: Record<string, number> = { sent: 0 }
  private readonly account: KeyPair
  private readonly answers = new Map<string, Answer>()
  private addresses: readonly string[] = []
  private nonce = 0
  private miner: Promise<PowPool> | undefined
  /** The main chain of whoever was asked last, as far as it was told. */
  private headers: Header[]

  constructor(readonly network: Network) {
    const seed = runtime.random.bytes(32)
    this.genesis = makeGenesis(sha256, network)
    this.params = network.params
    this.account = keyPairFromSeed(seed)
    this.headers = [this.genesis.header]
    const listen = ['/ip4/127.0.0.1/tcp/0']
    const networkId = hex(this.genesis.hash).slice(0, 16)
    this.host = new Host({ networkId, identity: seed, listen, mdns: false, maxConnections: 500 }, { runtime })
    const plenty = { perSecond: 1e6, burst: 1e6 }
    const outbound = { maxOutbound: 10_000, maxOutboundPerPeer: 10_000 }
    const options = { maxConcurrent: 10_000, ...outbound, peerRate: plenty, nodeRate: plenty }
    this.streams = new Streams(options, { runtime, host: this.host })
    this.gossip = new Gossip({}, { runtime, host: this.host })
    this.fetcher = new Fetcher(this.streams, this.genesis.hash, network.params.maxBlockBytes)
  }

  /** It says that it knows nothing but genesis, and passes nothing on: whatever it hears ends here. */
  async start(): Promise<void> {
    for (const part of [this.host, this.streams, this.gossip]) await part.start()
    for (const topic of TOPICS) this.gossip.setHandler(topic, async () => 'ignore')
    const status = encodeStatus({ tipHash: this.genesis.hash, height: 0, chainwork: 1n })
    await this.serve('status', async () => status)
  }

  /** Ends it. Another one can take its place. */
  async stop(): Promise<void> {
    for (const part of [this.gossip, this.streams, this.host]) await part.stop()
    await (await this.miner)?.stop()
  }

  /** Answers requests from now on; an answer of before is replaced. */
  async serve(protocol: keyof typeof PROTOCOLS, answer: Answer): Promise<void> {
    const { name } = PROTOCOLS[protocol]
    const isServed = this.answers.has(name)
    this.answers.set(name, answer)
    if (isServed) return
    await this.streams.handle(name, SERVED, async (request) => (this.answers.get(name) ?? answer)(request))
  }

  /** Resolves when it is connected with all and its gossip reaches them. Throws LabError `lab-timeout`, and NetError where it is not let in. */
  async connect(addresses: readonly string[]): Promise<void> {
    this.addresses = addresses
    for (const address of addresses) await this.dial(address)
    const isHeard = () => TOPICS.every((topic) => this.gossip.subscribers(topic).length >= this.targets.length)
    await waitUntil(isHeard, { what: 'the gossip of those it is connected with', everyMs: 10 })
  }

  /** Again and again: a daemon that is busy with others refuses whoever is one too many. */
  private async dial(address: string): Promise<void> {
    for (let vain = 1; ; vain++) {
      try {
        await this.host.dial(address)
        return
      } catch (error) {
        if (vain === MOST_DIALS) throw error
      }
      await this.sleep(VAIN_PAUSE_MS * vain)
    }
  }

  /** Those that it is connected with, by peer id. */
  get targets(): string[] {
    return this.host.peerIds()
  }

  /** Whether it is connected, or gets in again. */
  async isIn(): Promise<boolean> {
    for (let vain = 0; this.targets.length === 0 && vain < VAIN_DIALS; vain++) {
      for (const address of this.addresses) await this.host.dial(address).catch(() => {})
      if (this.targets.length === 0) await this.sleep(VAIN_PAUSE_MS)
    }
    return this.targets.length > 0
  }

  /** By a clock that never goes back. */
  nowMs(): number {
    return runtime.clock.monotonicMs()
  }

  sleep(ms: number): Promise<void> {
    return runtime.timers.sleep(ms)
  }

  random(length: number): Uint8Array {
    return runtime.random.bytes(length)
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  /** A put by this peer's own account, valid and free, on a key of its own. */
  put(text = `spam-${this.nonce}`): Transaction {
    const bytes = new TextEncoder().encode(text)
    const operation = {
      kind: 'put',
      key: new TextEncoder().encode(`${hex(this.account.publicKey).slice(0, 16)}-${this.nonce}`),
      expect: { kind: 'any' },
      valueDigest: valueDigest(sha256, bytes),
      valueLength: bytes.length,
      access: { kind: 'keep' },
    } as const
    const body = {
      sender: this.account.publicKey,
      accountNonce: this.nonce++,
      fee: 0,
      validUntil: 0,
      operations: [operation],
    }
    const sign = (txid: Uint8Array) => signMessage(txid, this.account.secretKey)
    return signTransaction(sha256, this.genesis.hash, body, [bytes], sign)
  }

  /** An empty block on a parent: its header, without a nonce. The network must pay no reward, for its state is the parent's. */
  child(parent: Header, changes: Partial<Header> = {}): Omit<Header, 'nonce'> {
    return {
      parent: headerHash(sha256, parent),
      height: parent.height + 1,
      timestampMs: Math.max(parent.timestampMs + 1, runtime.clock.nowMs()),
      target: this.params.initialTarget,
      txRoot: transactionRoot(sha256, []),
      stateRoot: parent.stateRoot,
      miner: this.random(32),
      ...changes,
    }
  }

  /** The same with work enough. */
  async solve(parent: Header, changes: Partial<Header> = {}): Promise<Header> {
    const header = this.child(parent, changes)
    const commitment = headerCommitment(sha256, header)
    this.miner ??= startMiner()
    const miner = await this.miner
    for (let start = 0; ; start += RANGE) {
      const nonce = await miner.search({ commitment, target: header.target, start, count: RANGE }, this.signal)
      if (nonce !== undefined) return { ...header, nonce }
    }
  }

  announcement(header: Header, transactions: readonly IncludedTransaction[] = []): Uint8Array {
    return encodeAnnouncement(sha256, { header, transactions }, this.random(8))
  }

  /** All headers of a peer's main chain, from genesis on. What is known already is not asked for again. */
  async headersOf(peerId: string): Promise<readonly Header[]> {
    for (;;) {
      const { headers } = this
      const latest = headers.slice(1 - MAX_LOCATOR).reverse()
      const locator = [...latest.map((header) => headerHash(sha256, header)), this.genesis.hash]
      const more = await this.fetcher.headers(peerId, locator, this.signal)
      const [first] = more
      if (first === undefined) return headers
      this.headers = [...headers.slice(0, first.height), ...more]
    }
  }

  /** The last header of the main chain of somebody it is connected with. */
  async tip(): Promise<Header> {
    const headers = await this.headersOf(this.targets[0] ?? '')
    return headers.at(-1) ?? this.genesis.header
  }

  /** A stream of one of the network's protocols, with nothing on it. */
  open(peerId: string, name: string): Promise<HostileStream> {
    const protocol = name === 'gossip' ? MESHSUB : this.host.protocol(name)
    return this.host.openStream(peerId, protocol, 10_000, AbortSignal.timeout(OPEN_TIMEOUT_MS))
  }

  /** A frame of gossip as it stands on the stream. */
  gossipFrame(parts: {
    readonly topics?: readonly string[]
    readonly messages?: readonly (readonly [Topic, Uint8Array])[]
  }): Uint8Array {
    const { topics = [], messages = [] } = parts
    const bytes = RPC.encode({
      subscriptions: topics.map((topic) => ({ subscribe: true, topic })),
      messages: messages.map(([topic, data]) => ({ topic: topicName(this.host.networkId, topic), data })),
    })
    return Buffer.concat([varint(BigInt(bytes.length)), bytes])
  }
}

async function startMiner(): Promise<PowPool> {
  const pool = new PowPool({ threads: 1 }, { runtime })
  await pool.start()
  return pool
}

/** A length as it stands before a frame. */
export function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  for (let left = value; ; left >>= 7n) {
    if (left < 128n) return Uint8Array.from([...bytes, Number(left)])
    bytes.push(Number(left & 127n) | 128)
  }
}

/** Writes to a stream, and waits while it is full. False once the stream is gone. */
export async function send(stream: HostileStream, bytes: Uint8Array): Promise<boolean> {
  if (stream.status !== 'open' || stream.writeStatus !== 'writable') return false
  if (!stream.send(bytes)) await stream.onDrain({ signal: AbortSignal.timeout(DRAIN_TIMEOUT_MS) }).catch(() => {})
  return isOpen(stream)
}

/** Asked again after a wait, in which it may have changed. */
function isOpen(stream: HostileStream): boolean {
  return stream.status === 'open'
}
