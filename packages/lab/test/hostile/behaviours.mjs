/**
 * Ways of misbehaving, by name. Each does its worst `count` times, or until it is shut out, and returns what it has to say of it.
 */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { decodeBlock, encodeBlock } from '@kvchain/core/block'
import { headerHash } from '@kvchain/core/header'
import { targetWork } from '@kvchain/core/pow'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { PROTOCOLS } from '@kvchain/node/net/fetcher'
import { decodeHashes, encodeBlocks, encodeHeaders, encodePacked, encodeStatus } from '@kvchain/node/net/messages'
import { Attacker, send, varint } from './attacker.mjs'

const MIB = 1 << 20
const SERVED = { maxConcurrent: 1_000, maxPerPeer: 1_000, timeoutMs: 120_000 }
const PACK = 50

function flipped(bytes) {
  const copy = Buffer.from(bytes)
  const at = Math.floor(Math.random() * copy.length)
  copy[at] ^= 1 << Math.floor(Math.random() * 8)
  return copy
}

/** Calls `work` with 0, 1, 2... until it was called `count` times or the attacker is shut out; returns how often. */
async function times(attacker, count, work) {
  let done = 0
  while (done < count && (await attacker.isIn())) await work(done++)
  return done
}

export const BEHAVIOURS = {
  /** Gossip that is noise, or a transaction with one bit changed. */
  async malformed(attacker, { count }) {
    const valid = encodePacked([attacker.put()])
    const sent = await times(attacker, count, async (n) => {
      const data = n % 2 === 0 ? randomBytes(1 + (n % 3_000)) : flipped(valid)
      await attacker.gossip.publish(n % 3 === 0 ? 'blocks' : 'transactions', data)
      await attacker.sleep(1)
    })
    return { sent }
  },

  /** Requests and gossip whose length is far too large, or only claims to be. */
  async oversized(attacker, { count }) {
    const claims = [2n ** 20n, 2n ** 32n, 2n ** 63n, 2n ** 70n]
    const sent = await times(attacker, count, async (n) => {
      const target = attacker.targets[n % attacker.targets.length]
      const name = n % 10 === 0 ? 'gossip' : ['status', 'headers', 'transactions', 'peers'][n % 4]
      const stream = await attacker.open(target, name).catch(() => undefined)
      if (stream === undefined) return attacker.sleep(50)
      await send(stream, varint(claims[n % 3 === 0 ? 0 : n % claims.length]))
      for (let mib = 0; mib < 4; mib++) if (!(await send(stream, randomBytes(MIB)))) break
      stream.abort(new Error('enough'))
    })
    return { sent }
  },

  /** Subscriptions to topics that nobody has heard of: many in a frame, then few. */
  async subscriptions(attacker, { count }) {
    let topics = 0
    const name = () => `/kvchain/nobody/${topics++}-${'x'.repeat(32)}`
    for (const perFrame of [1_000, 16]) {
      const end = topics + count / 2
      await times(attacker, count, async () => {
        if (topics >= end) return
        const stream = await attacker.open(attacker.targets[0] ?? '', 'gossip').catch(() => undefined)
        if (stream === undefined) await attacker.sleep(50)
        while (stream !== undefined && topics < end) {
          if (!(await send(stream, attacker.gossipFrame({ topics: Array.from({ length: perFrame }, name) })))) break
        }
      })
    }
    return { topics }
  },

  /** Announcements of blocks with work on parents that nobody knows. Says nothing when it is asked for more. */
  async orphans(attacker, { count }) {
    for (const name of ['status', 'headers']) {
      await attacker.streams.handle(name, { ...SERVED, maxRequestBytes: MIB }, () => new Promise(() => {}))
    }
    const sent = await times(attacker, count, async () => {
      const header = attacker.solve(attacker.genesis.header, {
        parent: randomBytes(32),
        target: new Uint8Array(32).fill(255),
      })
      await attacker.gossip.publish('blocks', attacker.announcement(header))
    })
    return { sent }
  },

  /** Valid transactions by the thousand, all of one account, for nothing. */
  async spam(attacker, { count }) {
    let sent = 0
    await times(attacker, Math.ceil(count / PACK), async () => {
      await attacker.gossip.publish('transactions', encodePacked(Array.from({ length: PACK }, () => attacker.put())))
      sent += PACK
      await attacker.sleep(1)
    })
    return { sent }
  },

  /** Two blocks on one parent, and each half of the network is told of another one. */
  async equivocating(attacker, { count }) {
    const streams = new Map()
    const tell = async (peerId, header) => {
      const old = streams.get(peerId)
      const stream = old?.status === 'open' ? old : await attacker.open(peerId, 'gossip')
      streams.set(peerId, stream)
      await send(stream, attacker.gossipFrame({ messages: [['blocks', attacker.announcement(header)]] }))
    }
    const sent = await times(attacker, count, async () => {
      const { targets } = attacker
      const parent = (await attacker.headersOf(targets[0])).at(-1)
      const siblings = [attacker.solve(parent), attacker.solve(parent)]
      await Promise.all(targets.map((peerId, i) => tell(peerId, siblings[i % 2])))
      await attacker.sleep(50)
    })
    return { pairs: sent }
  },

  /** Requests as fast as they go, a hundred at a time, until `count` were answered or turned away. Connects again as long as it is let in. */
  async asking(attacker, { count }) {
    const outcomes = {}
    const answered = () => (outcomes.ok ?? 0) + (outcomes['net-busy'] ?? 0)
    const ask = async (n) => {
      const [name, request] = n % 2 === 0 ? ['pool', new Uint8Array(0)] : ['peers', new Uint8Array(0)]
      const options = { maxResponseBytes: 8 * MIB, timeoutMs: 5_000 }
      const outcome = await attacker.streams.request(attacker.targets[0] ?? '', name, request, options).then(
        () => 'ok',
        (error) => error.code,
      )
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    for (let vain = 0; vain < 100 && answered() < count && (await attacker.isIn()); ) {
      const before = answered()
      await Promise.all(Array.from({ length: 100 }, (_, n) => ask(n)))
      vain = answered() > before ? 0 : vain + 1
      // The connection is gone, or about to be.
      if (vain > 0) await attacker.sleep(100)
    }
    return { outcomes }
  },

  /** Opens streams for requests and sends a byte a second. */
  async dribbling(attacker, { count }) {
    let opened = 0
    const dribble = async () => {
      const name = ['headers', 'blocks', 'transactions'][opened++ % 3]
      const stream = await attacker.open(attacker.targets[0] ?? '', name).catch(() => undefined)
      if (stream === undefined) return
      await send(stream, varint(36))
      while (await send(stream, Buffer.from([0]))) await attacker.sleep(1_000)
    }
    await times(attacker, Math.ceil(count / 64), () => Promise.all(Array.from({ length: 64 }, dribble)))
    return { opened }
  },

  /** Says that its chain is the best by far, and has a way of its own of not delivering it: see `how`. */
  async lying(attacker, { source, how }) {
    await attacker.connect([source])
    const [peerId] = attacker.targets
    const headers = await attacker.headersOf(peerId)
    const work =
      targetWork(attacker.params.initialTarget) * BigInt(headers.length + (how === 'braggart' ? 1_000_000 : 0))
    const status = { tipHash: headerHash(sha256, headers.at(-1)), height: headers.length - 1, chainwork: work }
    if (how === 'braggart') Object.assign(status, { tipHash: randomBytes(32), height: 1_000_000 })
    const asked = []
    const serve = (key, answer) =>
      attacker.streams.handle(PROTOCOLS[key].name, { ...SERVED, maxRequestBytes: MIB }, async (request) => {
        asked.push(key)
        return answer(request)
      })
    await serve('status', () => encodeStatus(status))
    await serve('pool', () => new Uint8Array(4))
    await serve('headers', (request) => {
      const known = new Set(decodeHashes(request, 96).map((hash) => hash.toString()))
      const from = headers.findLastIndex((header) => known.has(headerHash(sha256, header).toString()))
      return encodeHeaders(headers.slice(from + 1, from + 2_001))
    })
    await serve('blocks', async (request) => {
      if (how === 'stalling') return new Promise(() => {})
      if (how === 'garbage') return randomBytes(2_000)
      if (how === 'braggart') return encodeBlocks([])
      const hashes = decodeHashes(request, 128)
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
    return { asked }
  },

  /** Sockets that connect and say next to nothing, from another address of this machine; each that is closed is opened again. */
  async sockets(_attacker, { count, targets }) {
    const [, host, port] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(targets[0])
    let opened = 0
    const open = () => {
      const socket = connect({ host, port: Number(port), localAddress: '127.0.0.2' })
      const drip = setInterval(() => socket.write(Buffer.from([19])), 1_000)
      opened++
      socket.on('error', () => {})
      socket.on('close', () => {
        clearInterval(drip)
        setTimeout(open, 100)
      })
    }
    for (let n = 0; n < count; n++) open()
    return {
      get opened() {
        return opened
      },
    }
  },
}

/** Several peers in this process that keep their connections, listen to gossip, and pass nothing on. */
export async function sybils(network, { count, targets }) {
  const all = []
  for (let n = 0; n < count; n++) {
    const sybil = new Attacker(network)
    await sybil.start()
    const genesis = { tipHash: sybil.genesis.hash, height: 0, chainwork: 1n }
    await sybil.streams.handle('status', { ...SERVED, maxRequestBytes: 68 }, async () => encodeStatus(genesis))
    await sybil.connect(targets).catch(() => {})
    all.push(sybil)
  }
  return all
}
