/**
 * A peer that speaks the protocols and may do with them what it likes. Owns being connected, and the making of transactions, headers and frames that
 * look as they should; what it does with them is in behaviours.mjs.
 */
import { randomBytes } from 'node:crypto'
import { RPC } from '@chainsafe/libp2p-gossipsub/message'
import { transactionRoot } from '@kvchain/core/block'
import { makeGenesis } from '@kvchain/core/genesis'
import { headerCommitment, headerHash } from '@kvchain/core/header'
import { meetsTarget, powHash } from '@kvchain/core/pow'
import { signTransaction, valueDigest } from '@kvchain/core/transaction'
import { keyPairFromSeed, sha256, signMessage } from '@kvchain/node/crypto/sodium'
import { encodeAnnouncement } from '@kvchain/node/net/announcement'
import { Fetcher } from '@kvchain/node/net/fetcher'
import { Gossip, topicName } from '@kvchain/node/net/gossip'
import { Host } from '@kvchain/node/net/host'
import { Streams } from '@kvchain/node/net/streams/streams'
import { hex } from '@kvchain/node/runtime/hex'
import { systemRuntime } from '@kvchain/node/runtime/runtime'

const runtime = systemRuntime()
const MESHSUB = '/meshsub/1.1.0'
/** After so many dials in vain it counts as shut out. */
const VAIN_DIALS = 5

export class Attacker {
  constructor(network, seed = randomBytes(32)) {
    this.genesis = makeGenesis(sha256, network)
    this.params = network.params
    this.account = keyPairFromSeed(seed)
    const listen = ['/ip4/127.0.0.1/tcp/0']
    const networkId = hex(this.genesis.hash).slice(0, 16)
    this.host = new Host({ networkId, identity: seed, listen, mdns: false, maxConnections: 500 }, { runtime })
    const plenty = { perSecond: 1e6, burst: 1e6 }
    const outbound = { maxOutbound: 10_000, maxOutboundPerPeer: 10_000 }
    const options = { maxConcurrent: 10_000, ...outbound, peerRate: plenty, nodeRate: plenty }
    this.streams = new Streams(options, { runtime, host: this.host })
    this.gossip = new Gossip({}, { runtime, host: this.host })
    this.fetcher = new Fetcher(this.streams, this.genesis.hash, network.params.maxBlockBytes)
    this.signal = new AbortController().signal
    this.nonce = 0
  }

  async start() {
    for (const part of [this.host, this.streams, this.gossip]) await part.start()
    // It passes nothing on: whatever it hears ends here.
    for (const topic of ['blocks', 'transactions']) this.gossip.setHandler(topic, async () => 'ignore')
  }

  async connect(addresses) {
    this.addresses = addresses
    for (const address of addresses) await this.host.dial(address)
  }

  get targets() {
    return this.host.peerIds()
  }

  /** Whether it is connected, or gets in again. */
  async isIn() {
    for (let vain = 0; this.targets.length === 0 && vain < VAIN_DIALS; vain++) {
      for (const address of this.addresses) await this.host.dial(address).catch(() => {})
      if (this.targets.length === 0) await runtime.timers.sleep(200)
    }
    return this.targets.length > 0
  }

  sleep(ms) {
    return runtime.timers.sleep(ms)
  }

  /** A put by this peer's own account, valid and free, on a key of its own. */
  put(text = `spam-${this.nonce}`) {
    const bytes = new TextEncoder().encode(text)
    const operation = {
      kind: 'put',
      key: new TextEncoder().encode(`${hex(this.account.publicKey).slice(0, 16)}-${this.nonce}`),
      expect: { kind: 'any' },
      valueDigest: valueDigest(sha256, bytes),
      valueLength: bytes.length,
      access: { kind: 'keep' },
    }
    const body = {
      sender: this.account.publicKey,
      accountNonce: this.nonce++,
      fee: 0,
      validUntil: 0,
      operations: [operation],
    }
    const sign = (txid) => signMessage(txid, this.account.secretKey)
    return signTransaction(sha256, this.genesis.hash, body, [bytes], sign)
  }

  /** An empty block on a parent: its header, with work enough. The network must pay no reward, for its state is the parent's. */
  solve(parent, changes = {}) {
    const header = {
      parent: headerHash(sha256, parent),
      height: parent.height + 1,
      timestampMs: Math.max(parent.timestampMs + 1, Date.now()),
      target: this.params.initialTarget,
      txRoot: transactionRoot(sha256, []),
      stateRoot: parent.stateRoot,
      miner: randomBytes(32),
      ...changes,
    }
    const commitment = headerCommitment(sha256, header)
    for (let nonce = 0; ; nonce++) {
      if (meetsTarget(powHash(sha256, commitment, nonce), header.target)) return { ...header, nonce }
    }
  }

  announcement(header, transactions = []) {
    return encodeAnnouncement(sha256, { header, transactions }, randomBytes(8))
  }

  /** All headers of a peer's main chain, from genesis on. */
  async headersOf(peerId) {
    const headers = [this.genesis.header]
    for (;;) {
      const more = await this.fetcher.headers(peerId, [headerHash(sha256, headers.at(-1))], this.signal)
      if (more.length === 0) return headers
      headers.push(...more)
    }
  }

  /** A stream of one of the network's protocols, with nothing on it. */
  open(peerId, name) {
    const protocol = name === 'gossip' ? MESHSUB : this.host.protocol(name)
    return this.host.openStream(peerId, protocol, 10_000, AbortSignal.timeout(5_000))
  }

  /** A frame of gossip as it stands on the stream. */
  gossipFrame({ topics = [], messages = [], ihave = [] }) {
    const bytes = RPC.encode({
      subscriptions: topics.map((topic) => ({ subscribe: true, topic })),
      messages: messages.map(([topic, data]) => ({ topic: topicName(this.host.networkId, topic), data })),
      ...(ihave.length > 0 && { control: { ihave, iwant: [], graft: [], prune: [], idontwant: [] } }),
    })
    return Buffer.concat([varint(BigInt(bytes.length)), bytes])
  }
}

/** A length as it stands before a frame. */
export function varint(value) {
  const bytes = []
  for (let left = BigInt(value); ; left >>= 7n) {
    if (left < 128n) return Buffer.from([...bytes, Number(left)])
    bytes.push(Number(left & 127n) | 128)
  }
}

/** Writes to a stream, and waits while it is full. False once the stream is gone. */
export async function send(stream, bytes) {
  if (stream.status !== 'open' || stream.writeStatus !== 'writable') return false
  if (!stream.send(bytes)) await stream.onDrain({ signal: AbortSignal.timeout(500) }).catch(() => {})
  return stream.status === 'open'
}
