/**
 * Publishing to everybody over gossipsub, on two topics: blocks and transactions. Owns sizes, bounds and the router's settings;
 * knows nothing of what the bytes mean: a handler says accept, ignore or reject. Never the only way to learn something: the router
 * replays nothing, and what is over a bound here is dropped and counted.
 */
import './polyfill.js'
import { createHash } from 'node:crypto'
import {
  type GossipSub,
  type GossipSubComponents,
  type GossipsubMessage,
  gossipsub,
  type PublishResult,
  StrictNoSign,
  TopicValidatorResult,
} from '@chainsafe/libp2p-gossipsub'
import { assert } from '@kvchain/core/errors'
import type { PeerId } from '@libp2p/interface'
import { AbortError, NetError } from '../runtime/errors.js'
import { Observers } from '../runtime/observers.js'
import type { Runtime } from '../runtime/runtime.js'
import { BaseService } from '../runtime/service.js'
import { MAX_GOSSIP_BYTES } from './messages.js'

export const TOPICS = ['blocks', 'transactions'] as const
export type Topic = (typeof TOPICS)[number]

/** What is done with a message: pass it on, drop it, or drop it and hold it against the peer that sent it. */
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

/** Judges one message. A throw counts as ignore and is logged. Should take well under a second: see `Gossip.setHandler`. */
export type GossipHandler = (data: Uint8Array, from: string) => Promise<GossipVerdict>

/** Frames carry several messages when a peer asks for what it missed, so they need more room than one message. A frame over this
 * ends the peer's gossip, and the watchdog then its connection. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024
/** What may wait to be sent to one slow peer before its gossip stream is given up. */
const MAX_OUTBOUND_BUFFER_BYTES = 32 * 1024 * 1024
/** With up to this many subscribers our own messages go to each of them at once, which saves a hop. Beyond, a block would be
 * uploaded too often. */
const FLOOD_UP_TO_PEERS = 12
/** Messages being judged at one time. A guess; watch `overflowed`. */
const DEFAULT_MAX_JUDGING: Readonly<Record<Topic, number>> = { blocks: 64, transactions: 512 }
const DEFAULT_WATCHDOG_MS = 10_000
const WATCHDOG_INTERVAL_MS = 1_000
/** Message ids in one list. A second of full load is about 300 messages, and lists cover three seconds. */
const MAX_IDS = 2_048
const MESSAGE_ID_BYTES = 20
const MESHSUB = ['/meshsub/1.2.0', '/meshsub/1.1.0', '/meshsub/1.0.0']

/** What ends a stream whose frames are too long. */
const BAD_LENGTHS = ['InvalidDataLengthError', 'InvalidDataLengthLengthError', 'InvalidMessageLengthError']
const ROUTER_FUNCTIONS = [
  'getMeshPeers',
  'getScore',
  'reportMessageValidationResult',
  'pipePeerReadStream',
  'decodeRpc',
  'handleReceivedRpc',
  'handlePeerReadStreamError',
]

/** What the library's router has beyond its published type. */
export interface GossipRouter extends GossipSub {
  getMeshPeers(topic: string): string[]
  getScore(peerId: string): number
  reportMessageValidationResult(messageId: string, from: string, result: TopicValidatorResult): void
  publish(topic: string, data: Uint8Array, options?: { floodPublish?: boolean }): Promise<PublishResult>
  /** Reads what a peer sends for as long as its stream lasts. Called by the router itself. */
  pipePeerReadStream(peerId: PeerId, frames: AsyncIterable<Frame>): Promise<void>
  decodeRpc(frame: Uint8Array): object
  handleReceivedRpc(peerId: PeerId, rpc: object): Promise<void>
  handlePeerReadStreamError(error: unknown, peerId: PeerId): void
  /** Ours: told of a peer that sent a frame which makes no sense, or is over a bound. */
  onBadFrame: (peerId: string) => void
}

/** What stands between two lengths on the stream. */
interface Frame {
  subarray(): Uint8Array
}

/** What Gossip needs of the host. */
export interface GossipHost {
  readonly networkId: string
  readonly router: GossipRouter
  peerIds(): string[]
  disconnect(peerId: string): Promise<void>
  hasStream(peerId: string, direction: 'inbound' | 'outbound', protocols: readonly string[]): boolean
}

export interface GossipOptions {
  /** How many messages of a topic may be judged at one time; the newest over it is ignored. */
  readonly maxJudging?: Readonly<Record<Topic, number>>
  /** A connected peer whose gossip does not flow for this long is disconnected. */
  readonly watchdogMs?: number
}

/** What happened to the messages of one topic since the start. */
export interface GossipCounters {
  readonly published: number
  readonly accepted: number
  readonly ignored: number
  readonly rejected: number
  /** Ignored without being looked at, because too many were being judged. */
  readonly overflowed: number
  /** Ignored because the handler threw. */
  readonly failed: number
}

interface Lane {
  readonly topic: string
  readonly limit: number
  readonly counters: { -readonly [name in keyof GossipCounters]: number }
  handler: GossipHandler | undefined
  judging: number
}

/** The router's full name of a topic. */
export function topicName(networkId: string, topic: Topic): string {
  return `/kvchain/${networkId}/${topic}`
}

/** Makes the router that the host runs. Pure settings; the life of the router is the host's. */
export function gossipRouter(networkId: string): (components: GossipSubComponents) => GossipRouter {
  const topics = TOPICS.map((topic) => topicName(networkId, topic))
  /** A new message is asked for its quick id and then for its id proper, which are the same: hashed once. */
  const hashed = new WeakMap<Uint8Array, Uint8Array>()
  const create = gossipsub({
    globalSignaturePolicy: StrictNoSign,
    fallbackToFloodsub: false,
    emitSelf: false,
    doPX: false,
    // A connection through a relay counts as limited.
    runOnLimitedConnection: true,
    // Judging takes a while: the router hands a message over at once and forwards it when the verdict is reported. It also sees
    // then that the message came, and does not punish the peer for our slowness.
    asyncValidation: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    // Serialised once for all peers. Besides, the other way lets one peer's control messages leak into the next peer's copy.
    batchPublish: true,
    floodPublish: false,
    msgIdFn: ({ topic, data }) => {
      const id = hashed.get(data) ?? messageId(topic, data)
      // Forgotten at once: our own caller may use its buffer again for another message.
      hashed.delete(data)
      return id
    },
    // A cheap hash would let a peer make its message collide with another's, which would then count as seen.
    fastMsgIdFn: ({ topic, data = new Uint8Array(0) }) => {
      const id = messageId(topic, data)
      hashed.set(data, id)
      return id.toString('latin1')
    },
    allowedTopics: topics,
    dataTransform: {
      inboundTransform: (topic, data) => {
        if (data.length > MAX_GOSSIP_BYTES) throw tooLong(topic, data.length)
        return data
      },
      outboundTransform: (_topic, data) => data,
    },
    maxInboundDataLength: MAX_FRAME_BYTES,
    maxOutboundBufferSize: MAX_OUTBOUND_BUFFER_BYTES,
    maxInboundStreams: 4,
    maxOutboundStreams: 4,
    decodeRpcLimits: {
      maxSubscriptions: 16,
      maxMessages: MAX_IDS,
      maxIhaveMessageIDs: MAX_IDS,
      maxIwantMessageIDs: MAX_IDS,
      maxIdontwantMessageIDs: 64,
      maxControlMessages: 64,
      maxPeerInfos: 4,
    },
    scoreParams: {
      // Many honest nodes may share one address.
      IPColocationFactorWeight: 0,
      // A few broken promises happen to anybody on a slow line.
      behaviourPenaltyThreshold: 6,
      retainScore: 600_000,
      topics: Object.fromEntries(topics.map((topic) => [topic, TOPIC_SCORE])),
    },
  })
  return (components) => {
    const router = create(components)
    assert(isRouter(router), 'the gossip router has the functions that kvchain relies on')
    router.onBadFrame = () => {}
    router.pipePeerReadStream = (peerId, frames) => readFrames(router, peerId, frames)
    return router
  }
}

/** As the router does it, but that it only notes bad frames for whoever reads its log: a peer could send them for ever. */
async function readFrames(router: GossipRouter, peerId: PeerId, frames: AsyncIterable<Frame>): Promise<void> {
  try {
    for await (const frame of frames) {
      try {
        const rpc = router.decodeRpc(frame.subarray())
        // Not awaited, as the router has it: a message that is being judged holds up none of the others.
        router.handleReceivedRpc(peerId, rpc).catch(() => {})
      } catch {
        router.onBadFrame(peerId.toString())
      }
    }
  } catch (error) {
    if (error instanceof Error && BAD_LENGTHS.includes(error.name)) router.onBadFrame(peerId.toString())
    router.handlePeerReadStreamError(error, peerId)
  }
}

/** No penalty for few deliveries, since a slow topic is not a fault. Three or four messages judged 'reject' within a minute make the
 * router deaf to a peer: they count -10, -40, -90, -160, good behaviour at most +10, and it stops listening below -80. */
const TOPIC_SCORE = {
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1_000,
  timeInMeshCap: 300,
  firstMessageDeliveriesWeight: 0.1,
  firstMessageDeliveriesDecay: 0.9,
  firstMessageDeliveriesCap: 50,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 5_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.99,
}

function isRouter(router: GossipSub): router is GossipRouter {
  return ROUTER_FUNCTIONS.every((name) => name in router && typeof Reflect.get(router, name) === 'function')
}

function messageId(topic: string, data: Uint8Array): Buffer {
  return createHash('sha256').update(topic).update(data).digest().subarray(0, MESSAGE_ID_BYTES)
}

function tooLong(topic: string, bytes: number): NetError {
  const data = { topic, bytes, limit: MAX_GOSSIP_BYTES }
  return new NetError('net-limit', `a gossip message of ${bytes} bytes is over the limit of ${MAX_GOSSIP_BYTES}`, data)
}

export class Gossip extends BaseService {
  private readonly runtime: Runtime
  private readonly host: GossipHost
  private readonly lanes: Readonly<Record<Topic, Lane>>
  private readonly deafLooks: number
  /** Connected peers with whom gossip does not flow, and how often that was seen. Not for how long: a stall of this process is not
   * held against the peer. */
  private readonly deaf = new Map<string, number>()
  /** Told of a peer whose frames make no sense: the code is `gossip-malformed`. */
  readonly misconduct: Observers<string>
  private readonly onMessage = (event: CustomEvent<GossipsubMessage>): void => this.receive(event.detail)

  constructor(options: GossipOptions, deps: { readonly runtime: Runtime; readonly host: GossipHost }) {
    super('gossip', deps.runtime.log.child({ module: 'gossip' }))
    this.runtime = deps.runtime
    this.host = deps.host
    this.misconduct = new Observers(this.log)
    this.deafLooks = Math.ceil((options.watchdogMs ?? DEFAULT_WATCHDOG_MS) / WATCHDOG_INTERVAL_MS)
    const limits = options.maxJudging ?? DEFAULT_MAX_JUDGING
    this.lanes = { blocks: this.lane('blocks', limits), transactions: this.lane('transactions', limits) }
  }

  /**
   * Sends a message to everybody. Resolves when it has been handed to the streams: `recipients` says to how many, 0 if nobody is there
   * or if the same bytes went through this node in the last two minutes. NetError 'net-limit' if it is too long.
   */
  async publish(topic: Topic, data: Uint8Array): Promise<{ recipients: number }> {
    const lane = this.lanes[topic]
    if (data.length > MAX_GOSSIP_BYTES) throw tooLong(lane.topic, data.length)
    if (this.state !== 'running') throw new AbortError('publishing')
    const { router } = this.host
    const floodPublish = router.getSubscribers(lane.topic).length <= FLOOD_UP_TO_PEERS
    const { recipients } = await router.publish(lane.topic, data, { floodPublish })
    lane.counters.published++
    return { recipients: recipients.length }
  }

  /**
   * Says who judges the messages of a topic; without a handler they are ignored. A verdict that takes more than about 5 seconds
   * comes too late to be passed on. The handler may keep `data`: it is a copy.
   */
  setHandler(topic: Topic, handler: GossipHandler): void {
    this.lanes[topic].handler = handler
  }

  /** The peers that messages of a topic are exchanged with directly. */
  meshPeers(topic: Topic): string[] {
    return this.host.router.getMeshPeers(this.lanes[topic].topic)
  }

  /** The peers that are known to listen to a topic. */
  subscribers(topic: Topic): string[] {
    return this.host.router.getSubscribers(this.lanes[topic].topic).map(String)
  }

  /** The router's own opinion of a peer; below -80 it ignores the peer. */
  score(peerId: string): number {
    return this.host.router.getScore(peerId)
  }

  counters(topic: Topic): GossipCounters {
    return { ...this.lanes[topic].counters }
  }

  protected async onStart(): Promise<void> {
    const { router } = this.host
    router.addEventListener('gossipsub:message', this.onMessage)
    router.onBadFrame = (peerId) => this.misconduct.notify(peerId)
    for (const { topic } of Object.values(this.lanes)) router.subscribe(topic)
    this.track('watchdog', () => this.watch())
  }

  protected async onStop(): Promise<void> {
    this.host.router.removeEventListener('gossipsub:message', this.onMessage)
    // A router that the host has stopped already has no subscriptions left.
    const subscribed = this.host.router.getTopics()
    for (const topic of subscribed) this.host.router.unsubscribe(topic)
  }

  private lane(topic: Topic, limits: Readonly<Record<Topic, number>>): Lane {
    return {
      topic: topicName(this.host.networkId, topic),
      limit: limits[topic],
      counters: { published: 0, accepted: 0, ignored: 0, rejected: 0, overflowed: 0, failed: 0 },
      handler: undefined,
      judging: 0,
    }
  }

  private receive({ msg, msgId, propagationSource }: GossipsubMessage): void {
    const lane = Object.values(this.lanes).find(({ topic }) => topic === msg.topic)
    if (lane === undefined || this.signal.aborted) return
    const from = propagationSource.toString()
    const { handler } = lane
    if (handler === undefined || lane.judging >= lane.limit) {
      lane.counters[handler === undefined ? 'ignored' : 'overflowed']++
      this.host.router.reportMessageValidationResult(msgId, from, TopicValidatorResult.Ignore)
      return
    }
    lane.judging++
    this.track('judge a message', async () => {
      // Not `slice`: what the library hands over may be a Buffer, whose `slice` does not copy.
      const verdict = await this.judge(lane, handler, new Uint8Array(msg.data), from)
      lane.judging--
      this.host.router.reportMessageValidationResult(msgId, from, RESULT[verdict])
    })
  }

  private async judge(lane: Lane, handler: GossipHandler, data: Uint8Array, from: string): Promise<GossipVerdict> {
    try {
      const verdict = await handler(data, from)
      lane.counters[COUNTER[verdict]]++
      return verdict
    } catch (error) {
      lane.counters.failed++
      this.log.error({ err: error, topic: lane.topic, peerId: from }, 'a gossip handler failed')
      return 'ignore'
    }
  }

  /** Closes connections whose gossip is dead while the rest is alive, which nothing else would notice. */
  private async watch(): Promise<void> {
    while (!this.signal.aborted) {
      await this.runtime.timers.sleep(WATCHDOG_INTERVAL_MS, this.signal)
      const connected = new Set(this.host.peerIds())
      for (const peerId of this.deaf.keys()) if (!connected.has(peerId)) this.deaf.delete(peerId)
      const subscribers = TOPICS.map((topic) => new Set(this.subscribers(topic)))
      for (const peerId of connected) {
        const flows =
          subscribers.every((listening) => listening.has(peerId)) &&
          this.host.hasStream(peerId, 'outbound', MESHSUB) &&
          this.host.hasStream(peerId, 'inbound', MESHSUB)
        if (flows) this.deaf.delete(peerId)
        else await this.onDeaf(peerId)
      }
    }
  }

  private async onDeaf(peerId: string): Promise<void> {
    const looks = (this.deaf.get(peerId) ?? 0) + 1
    this.deaf.set(peerId, looks)
    if (looks < this.deafLooks) return
    this.log.warn({ peerId }, 'gossip with a connected peer does not flow; closing the connection')
    this.deaf.delete(peerId)
    await this.host.disconnect(peerId)
  }
}

const RESULT: Readonly<Record<GossipVerdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

const COUNTER = { accept: 'accepted', ignore: 'ignored', reject: 'rejected' } as const
