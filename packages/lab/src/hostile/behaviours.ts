/**
 * Ways of misbehaving, by name, and one of behaving well. Each does its worst so often as it is told to, or until it is shut out; the attacker's counts say what it did. Those that
 * serve go on serving when they have returned.
 */
import { connect } from 'node:net'
import { decodeBlock, encodeBlock, transactionRoot } from '@kvchain/core/block'
import { nextTarget } from '@kvchain/core/difficulty'
import { type Header, headerHash } from '@kvchain/core/header'
import { OK } from '@kvchain/core/outcome'
import { targetWork } from '@kvchain/core/pow'
import { sha256 } from '@kvchain/node/crypto/sodium'
import type { PROTOCOLS } from '@kvchain/node/net/fetcher'
import {
  decodeHashes,
  encodeBlocks,
  encodeHeaders,
  encodePacked,
  encodeStatus,
  MAX_BLOCKS,
  MAX_HEADERS,
  MAX_LOCATOR,
} from '@kvchain/node/net/messages'
import { AbortError, NetError } from '@kvchain/node/runtime/errors'
import { hex } from '@kvchain/node/runtime/hex'
import { LabError } from '../errors.js'
import type { Act, BehaviourName } from './acts.js'
import { Attacker, type HostileStream, send, varint } from './attacker.js'

export type Behaviour = (attacker: Attacker, act: Act, targets: readonly string[]) => Promise<void>

const MIB = 1 << 20
const PACK = 50
/** Questions that the honest one has open at a time: fewer than anybody may have. */
const HONEST_AT_ONCE = 8
const FLUSH_TIMEOUT_MS = 5_000
const TOPICS_ON_A_STREAM = 10_000
const never = () => new Promise<never>(() => {})

function flipped(bytes: Uint8Array): Uint8Array {
  const [at, bit] = [Math.floor(Math.random() * bytes.length), 1 << Math.floor(Math.random() * 8)]
  return bytes.map((byte, i) => (i === at ? byte ^ bit : byte))
}

/** Calls `work` with 0, 1, 2... as often as the act says, or until the attacker is shut out. Being hung up on in the middle is a time as well. */
async function times(attacker: Attacker, act: Act, work: (n: number) => Promise<void>): Promise<void> {
  const { count = Number.POSITIVE_INFINITY, everyMs = 0 } = act
  for (let done = 0; done < count && (await attacker.isIn()); done++) {
    try {
      await work(done)
      attacker.count('sent')
    } catch {
      attacker.count('interrupted')
    }
    if (everyMs > 0) await attacker.sleep(everyMs)
  }
}

/** Gossip that is noise, or a transaction with one bit changed. */
const malformed: Behaviour = async (attacker, act) => {
  const valid = encodePacked([attacker.put()])
  await times(attacker, act, async (n) => {
    const data = n % 2 === 0 ? attacker.random(1 + (n % 3_000)) : flipped(valid)
    await attacker.gossip.publish(n % 3 === 0 ? 'blocks' : 'transactions', data)
    await attacker.sleep(1)
  })
}

/** Requests and gossip whose length is far too large, or only claims to be. */
const oversized: Behaviour = async (attacker, act) => {
  const claims = [2n ** 20n, 2n ** 32n, 2n ** 63n, 2n ** 70n]
  await times(attacker, act, async (n) => {
    const { targets } = attacker
    const name = n % 10 === 0 ? 'gossip' : (['status', 'headers', 'transactions', 'peers'][n % 4] ?? '')
    const stream = await attacker.open(targets[n % targets.length] ?? '', name).catch(() => undefined)
    if (stream === undefined) return attacker.sleep(50)
    await send(stream, varint(claims[n % 3 === 0 ? 0 : n % claims.length] ?? 0n))
    for (let mib = 0; mib < 4; mib++) if (!(await send(stream, attacker.random(MIB)))) break
    stream.abort(new AbortError('a stream'))
  })
}

/** Subscriptions to topics that nobody has heard of: on one stream few in a frame, as is allowed, on the next more than may be. */
const subscriptions: Behaviour = async (attacker, { count = Number.POSITIVE_INFINITY }) => {
  let topics = 0
  const frame = (length: number) =>
    attacker.gossipFrame({
      topics: Array.from({ length }, (_, i) => `/kvchain/nobody/${topics + i}-${'x'.repeat(32)}`),
    })
  for (let streams = 0; topics < count && (await attacker.isIn()); streams++) {
    const stream = await attacker.open(attacker.targets[0] ?? '', 'gossip').catch(() => undefined)
    if (stream === undefined) await attacker.sleep(50)
    const perFrame = streams % 2 === 0 ? 16 : 1_000
    // Not all at once: what is in the buffer when it is hung up on never arrives.
    const end = Math.min(count, topics + TOPICS_ON_A_STREAM)
    while (stream !== undefined && topics < end && (await send(stream, frame(perFrame)))) topics += perFrame
    await stream?.close({ signal: AbortSignal.timeout(FLUSH_TIMEOUT_MS) }).catch(() => {})
  }
  attacker.count('sent', topics)
}

/** Announcements of blocks on parents that nobody knows, with no more work than the network asks for at its easiest, or next to none (cheap). Says nothing when it is asked for more. */
const orphans: Behaviour = async (attacker, act) => {
  await attacker.serve('status', never)
  await attacker.serve('headers', never)
  const target = act.how === 'cheap' ? new Uint8Array(32).fill(255) : attacker.params.easiestTarget
  await times(attacker, act, async () => {
    const header = await attacker.solve(attacker.genesis.header, { parent: attacker.random(32), target })
    await attacker.gossip.publish('blocks', attacker.announcement(header))
  })
}

/** Valid transactions, fifty in a message, all of one account, for nothing. Counts transactions. */
const spam: Behaviour = async (attacker, { count = Number.POSITIVE_INFINITY, ...act }) => {
  await times(attacker, { ...act, count: Math.ceil(count / PACK) }, async () => {
    await attacker.gossip.publish('transactions', encodePacked(Array.from({ length: PACK }, () => attacker.put())))
    attacker.count('sent', PACK - 1)
    await attacker.sleep(1)
  })
}

/** Two blocks on one parent, and each half of the network is told of another one. */
const equivocating: Behaviour = async (attacker, act) => {
  const streams = new Map<string, HostileStream>()
  const tell = async (peerId: string, header: Header) => {
    const old = streams.get(peerId)
    const stream = old?.status === 'open' ? old : await attacker.open(peerId, 'gossip')
    streams.set(peerId, stream)
    await send(stream, attacker.gossipFrame({ messages: [['blocks', attacker.announcement(header)]] }))
  }
  await times(attacker, act, async () => {
    const parent = await attacker.tip()
    const siblings = [await attacker.solve(parent), await attacker.solve(parent)]
    await Promise.all(attacker.targets.map((peerId, i) => tell(peerId, siblings[i % 2] ?? parent)))
    await attacker.sleep(50)
  })
}

/**
 * Blocks on the tip, with work, whose one transaction nobody has: whoever asks for it is given another one (mutating), or waits in vain (stalling).
 */
const withholding: Behaviour = async (attacker, act) => {
  /** By hash. Never forgotten: each took work. */
  const headers = new Map<string, Header>()
  const answer = (encode: (request: Uint8Array) => Uint8Array) => async (request: Uint8Array) => {
    attacker.count('asked')
    return act.how === 'stalling' ? never() : encode(request)
  }
  const other = () => ({ transaction: attacker.put('other'), outcome: OK })
  await attacker.serve(
    'blockTransactions',
    answer(() => encodePacked([other().transaction])),
  )
  await attacker.serve(
    'blocks',
    answer((request) => {
      const found = decodeHashes(request, MAX_BLOCKS).map((hash) => headers.get(hex(hash)))
      return encodeBlocks(found.map((header) => header && encodeBlock({ header, transactions: [other()] })))
    }),
  )
  await times(attacker, act, async () => {
    const transactions = [{ transaction: attacker.put('withheld'), outcome: OK }]
    const header = await attacker.solve(await attacker.tip(), { txRoot: transactionRoot(sha256, transactions) })
    headers.set(hex(headerHash(sha256, header)), header)
    await attacker.gossip.publish('blocks', attacker.announcement(header, transactions))
  })
}

/** Requests as fast as they go, a hundred at a time, until `count` were answered or turned away. Connects again as long as it is let in. */
const asking: Behaviour = async (attacker, { count = Number.POSITIVE_INFINITY }) => {
  const answered = () => (attacker.counts.ok ?? 0) + (attacker.counts['net-busy'] ?? 0)
  const ask = async (n: number) => {
    const options = { maxResponseBytes: 8 * MIB, timeoutMs: 5_000 }
    attacker.count('sent')
    try {
      await attacker.streams.request(
        attacker.targets[0] ?? '',
        n % 2 === 0 ? 'pool' : 'peers',
        new Uint8Array(0),
        options,
      )
      attacker.count('ok')
    } catch (error) {
      attacker.count(error instanceof NetError ? error.code : 'failed')
    }
  }
  for (let vain = 0; vain < 100 && answered() < count && (await attacker.isIn()); ) {
    const before = answered()
    await Promise.all(Array.from({ length: 100 }, (_, n) => ask(n)))
    vain = answered() > before ? 0 : vain + 1
    // The connection is gone, or about to be.
    if (vain > 0) await attacker.sleep(100)
  }
}

/** Opens streams for requests and sends a byte a second. */
const dribbling: Behaviour = async (attacker, { count = Number.POSITIVE_INFINITY, ...act }) => {
  let opened = 0
  const dribble = async () => {
    const name = ['headers', 'blocks', 'transactions'][opened++ % 3] ?? ''
    const stream = await attacker.open(attacker.targets[0] ?? '', name).catch(() => undefined)
    if (stream === undefined) return
    await send(stream, varint(36n))
    while (await send(stream, Uint8Array.of(0))) await attacker.sleep(1_000)
  }
  const all = { ...act, count: Math.ceil(count / 64) }
  await times(attacker, all, async () => void (await Promise.all(Array.from({ length: 64 }, dribble))))
  attacker.count('opened', opened)
}

/** Says that its chain is the best by far, and has a way of its own of not delivering it: see `how`. */
const lying: Behaviour = async (attacker, { how }) => {
  const [peerId = ''] = attacker.targets
  const headers = await attacker.headersOf(peerId)
  const tip = headers.at(-1) ?? attacker.genesis.header
  const work = targetWork(attacker.params.initialTarget) * BigInt(headers.length + (how === 'braggart' ? 1_000_000 : 0))
  const truth = { tipHash: headerHash(sha256, tip), height: tip.height }
  const claim = how === 'braggart' ? { tipHash: attacker.random(32), height: 1_000_000 } : truth
  const serve = (key: keyof typeof PROTOCOLS, answer: (request: Uint8Array) => Uint8Array | Promise<Uint8Array>) =>
    attacker.serve(key, async (request) => {
      attacker.count('sent')
      return answer(request)
    })
  await serve('status', () => encodeStatus({ ...claim, chainwork: work }))
  await serve('pool', () => new Uint8Array(4))
  await serve('headers', (request) => {
    const known = new Set(decodeHashes(request, MAX_LOCATOR).map(hex))
    const from = headers.findLastIndex((header) => known.has(hex(headerHash(sha256, header))))
    return encodeHeaders(headers.slice(from + 1, from + 1 + MAX_HEADERS))
  })
  await serve('blocks', async (request) => {
    if (how === 'stalling') return never()
    if (how === 'garbage') return attacker.random(2_000)
    if (how === 'braggart') return encodeBlocks([])
    const hashes = decodeHashes(request, MAX_BLOCKS)
    const blocks = await attacker.fetcher.blocks(peerId, hashes, attacker.signal)
    // Whole blocks with their own headers, but one of their transactions twice or gone.
    return encodeBlocks(
      blocks.map((block) => {
        if (block === undefined) return undefined
        const { header, transactions } = decodeBlock(encodeBlock(block), sha256, attacker.genesis.hash)
        const [first] = transactions
        return encodeBlock({ header, transactions: first === undefined ? [] : [...transactions, first] })
      }),
    )
  })
}

/** Sockets that connect and say next to nothing, from another address of this machine; each that is closed is opened again. */
const sockets: Behaviour = async (attacker, { count = 1 }, [target = '']) => {
  const [, host, port] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(target) ?? []
  if (host === undefined) throw new LabError('lab-options', `sockets need an IPv4 address, not '${target}'`)
  const open = () => {
    const socket = connect({ host, port: Number(port), localAddress: '127.0.0.2' })
    const drip = setInterval(() => socket.write(Uint8Array.of(19)), 1_000)
    attacker.count('sent')
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(drip)
      setTimeout(open, 100)
    })
  }
  for (let n = 0; n < count; n++) open()
}

/** Says that its chain is the best by far, and has headers for it without end, each with the least work that the target rule lets it have; on a network whose easiest target any hash meets. */
const cheap: Behaviour = async (attacker, { count = Number.POSITIVE_INFINITY }) => {
  const { genesis, params } = attacker
  const next = (parent: Header, grandparent: Header | undefined, blocks: number) => ({
    timestampMs: parent.timestampMs + params.blockIntervalMs * blocks,
    target: nextTarget(params, parent, grandparent),
  })
  // Each as late as counts, until any hash is good enough: this takes work, and is done once.
  const first = [genesis.header]
  for (let [parent, before]: (Header | undefined)[] = first; parent !== undefined; [before, parent] = first.slice(-2)) {
    if (hex(parent.target) === hex(params.easiestTarget)) break
    first.push(await attacker.solve(parent, next(parent, before, params.solveTimeClampBlocks)))
  }
  let told = first
  await attacker.serve('headers', async (request) => {
    const [asked] = decodeHashes(request, MAX_LOCATOR)
    const last = told.at(-1) ?? genesis.header
    // Whoever asks for others than the next ones hears it all again.
    const isNext = asked !== undefined && hex(asked) === hex(headerHash(sha256, last))
    const headers = isNext ? [] : first.slice(1)
    let [before, parent] = [...(isNext ? told : first)].slice(-2)
    while (headers.length < MAX_HEADERS && parent !== undefined) {
      const header = { ...attacker.child(parent, next(parent, before, 1)), nonce: 0 }
      headers.push(header)
      ;[before, parent] = [parent, header]
    }
    told = headers
    attacker.count('sent', headers.length)
    return encodeHeaders(headers)
  })
  const claim = { height: 1_000_000, chainwork: 1n << 200n }
  await attacker.serve('status', async () => encodeStatus({ tipHash: attacker.random(32), ...claim }))
  while ((attacker.counts.sent ?? 0) < count) await attacker.sleep(100)
}

/** Does what `how` says until it is shut out, and comes back under another name, so many times. Counts lives. */
const reborn: Behaviour = async (attacker, { how, count = Number.POSITIVE_INFINITY }, targets) => {
  const behaviour = how === 'asking' ? asking : malformed
  for (let lives = 0; lives < count; lives++) {
    const next = new Attacker(attacker.network)
    await next.start()
    await next.connect(targets).catch(() => attacker.count('refused'))
    if (next.targets.length > 0) {
      attacker.count('sent')
      await behaviour(next, { behaviour: 'malformed' }, targets)
    }
    await next.stop()
    for (const [what, by] of Object.entries(next.counts)) attacker.count(`${how} ${what}`, by)
  }
}

/**
 * Not hostile at all: what it is served is what the others are measured by. Asks `count` times, one question every `everyMs`, some at a time; what is
 * late is asked later. Ends when there was time for all.
 */
const honest: Behaviour = async (attacker, { count = 0, everyMs = 0 }) => {
  const [peerId = ''] = attacker.targets
  const genesis = [attacker.genesis.hash]
  const ask = async (n: number) => {
    const { fetcher, signal } = attacker
    attacker.count('sent')
    try {
      if (n % 2 === 0) await fetcher.headers(peerId, genesis, signal)
      else await fetcher.poolIds(peerId, signal)
      attacker.count('ok')
    } catch (error) {
      attacker.count(error instanceof NetError ? error.code : 'failed')
    }
  }
  let [asked, open] = [0, 0]
  const startMs = attacker.nowMs()
  for (let due = 1; due < count; await attacker.sleep(everyMs)) {
    due = Math.min(count, Math.floor((attacker.nowMs() - startMs) / everyMs) + 1)
    for (; asked < due && open < HONEST_AT_ONCE; open++) void ask(asked++).finally(() => open--)
  }
}

/** Keeps its connections, says that it knows nothing but genesis, and passes nothing on. */
const silent: Behaviour = async () => {}

export const BEHAVIOURS: Readonly<Record<BehaviourName, Behaviour>> = {
  malformed,
  oversized,
  subscriptions,
  orphans,
  spam,
  equivocating,
  withholding,
  asking,
  dribbling,
  lying,
  sockets,
  cheap,
  reborn,
  silent,
  honest,
}
