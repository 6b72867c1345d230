/**
 * Links between the nodes of a cluster: for every pair a port of its own on which the one reaches the other, and a rule for each direction
 * that can be changed while bytes pass. Owns the ports and the connections through them. That nodes take no other way is for whoever
 * starts them to see to: see Cluster.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { LabError } from '../errors.js'
import { Line, Link } from './line.js'
import { changedRule, Dice, FREE_LINK, type LinkRule } from './rule.js'

export interface LinksOptions {
  readonly nodes: number
  /** The same seed, the same dice. Default 1. */
  readonly seed?: number
  /** What all links are like at first. Default: nothing in the way. */
  readonly rule?: Partial<LinkRule>
}

/** The port on which `from` reaches `to`. */
interface Way {
  readonly from: number
  readonly to: number
  readonly server: Server
  readonly connections: Set<AbortController>
  opened: number
}

const MAX_NODES = 64
/** What a socket says when whoever dialled does not wait for an answer. */
const GIVEN_UP = ['end', 'close']

export class Links {
  private readonly links = new Map<string, Link>()
  private readonly ways = new Map<string, Way>()
  /** Where each node really listens. */
  private readonly targets = new Map<number, { readonly host: string; readonly port: number }>()
  private readonly working = new Set<Promise<void>>()

  private constructor(private readonly options: LinksOptions) {}

  /** Opens the ports. LabError `lab-options`. */
  static async open(options: LinksOptions): Promise<Links> {
    if (options.nodes > MAX_NODES) throw new LabError('lab-options', `links are for ${MAX_NODES} nodes at most`)
    const links = new Links(options)
    const rule = changedRule(FREE_LINK, options.rule ?? {})
    for (let from = 0; from < options.nodes; from++) {
      for (let to = 0; to < options.nodes; to++) {
        if (from === to) continue
        const link = new Link()
        link.change(rule)
        links.links.set(nameOf(from, to), link)
        await links.openWay(from, to)
      }
    }
    return links
  }

  /** Where `from` reaches `to`: a multiaddr without peer id. */
  address(from: number, to: number): string {
    const address = this.way(from, to).server.address()
    if (address === null || typeof address === 'string') throw new LabError('lab-exit', 'the links are stopped')
    return `/ip4/127.0.0.1/tcp/${address.port}`
  }

  /** Says where a node really listens: a multiaddr, of which the peer id does not matter. Until then nobody reaches it. */
  attach(node: number, listens: string): void {
    const match = /^\/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(listens)
    if (match === null) throw new LabError('lab-options', `no link leads to ${listens}`)
    this.targets.set(node, { host: match[1] ?? '', port: Number(match[2]) })
  }

  /** Changes what one link is like, for what is sent from now on. */
  set(from: number, to: number, changes: Partial<LinkRule>): void {
    this.link(from, to).change(changes)
  }

  /** The same for all links. */
  setAll(changes: Partial<LinkRule>): void {
    for (const link of this.links.values()) link.change(changes)
  }

  /** Lets nothing pass from the one to the other any more, silently. The other direction stays as it is. */
  cut(from: number, to: number): void {
    this.link(from, to).cut()
  }

  heal(from: number, to: number): void {
    this.link(from, to).heal()
  }

  /** Cuts every link between nodes of different groups, and heals the others. A node in no group is alone. */
  partition(groups: readonly (readonly number[])[]): void {
    const groupOf = (node: number) => groups.findIndex((group) => group.includes(node))
    this.each((from, to, link) => {
      const together = groupOf(from) >= 0 && groupOf(from) === groupOf(to)
      if (together) link.heal()
      else link.cut()
    })
  }

  healAll(): void {
    for (const link of this.links.values()) link.heal()
  }

  /** Breaks off every connection between two nodes, whoever began it. New ones are let through. */
  reset(one: number, other: number): void {
    for (const way of [this.way(one, other), this.way(other, one)]) {
      for (const connection of way.connections) connection.abort()
    }
  }

  /** Bytes that arrived over a link, in connections of either side. */
  carried(from: number, to: number): number {
    return this.link(from, to).carried
  }

  /** Closes the ports and breaks off what is open. Resolves when nothing is left. */
  async stop(): Promise<void> {
    const closing = [...this.ways.values()].map(async ({ server, connections }) => {
      const closed = once(server, 'close')
      server.close()
      for (const connection of connections) connection.abort()
      await closed
    })
    await Promise.all([...closing, ...this.working])
  }

  private async openWay(from: number, to: number): Promise<void> {
    // Half-open connections stay so: the end of one direction is carried like its bytes.
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    const way: Way = { from, to, server, connections: new Set(), opened: 0 }
    this.ways.set(nameOf(from, to), way)
    server.on('connection', (near) => {
      const work = this.connect(way, near)
      this.working.add(work)
      void work.finally(() => this.working.delete(work))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }

  private async connect(way: Way, near: Socket): Promise<void> {
    const connection = new AbortController()
    const { signal } = connection
    way.connections.add(connection)
    const ordinal = way.opened++
    near.on('error', () => {})
    const sockets = [near]
    try {
      const [there, back] = [this.link(way.from, way.to), this.link(way.to, way.from)]
      const line = new Line(there, this.dice(way.from, way.to, 0, ordinal), near)
      // Whoever dials over a cut link hears nothing, and the other side does not hear of it: never, if the dial is given up before.
      const giveUp = () => connection.abort()
      for (const event of GIVEN_UP) near.once(event, giveUp)
      for (const link of [there, back]) await link.passable(signal)
      for (const event of GIVEN_UP) near.off(event, giveUp)
      const target = this.targets.get(way.to)
      if (target === undefined || signal.aborted) return
      const far = connect({ ...target, allowHalfOpen: true, noDelay: true })
      far.on('error', () => {})
      sockets.push(far)
      const answers = new Line(back, this.dice(way.to, way.from, 1, ordinal), far)
      await Promise.all([line.carry(far, signal), answers.carry(near, signal)])
    } catch {
      // Broken off while it waited for the link.
    } finally {
      for (const socket of sockets) leave(socket, signal)
      way.connections.delete(connection)
    }
  }

  private dice(from: number, to: number, direction: number, ordinal: number): Dice {
    const stream = ((from * MAX_NODES + to) * 2 + direction) * 65_536 + (ordinal % 65_536)
    return new Dice(this.options.seed ?? 1, stream)
  }

  private each(visit: (from: number, to: number, link: Link) => void): void {
    for (const { from, to } of this.ways.values()) visit(from, to, this.link(from, to))
  }

  private link(from: number, to: number): Link {
    const link = this.links.get(nameOf(from, to))
    if (link === undefined) throw new LabError('lab-options', `there is no link from ${from} to ${to}`)
    return link
  }

  private way(from: number, to: number): Way {
    const way = this.ways.get(nameOf(from, to))
    if (way === undefined) throw new LabError('lab-options', `there is no link from ${from} to ${to}`)
    return way
  }
}

/** A socket that ended in both directions still sends what is in its buffer; any other is broken off. */
function leave(socket: Socket, signal: AbortSignal): void {
  if (socket.destroyed || (socket.readableEnded && socket.writableEnded && !signal.aborted)) return
  socket.resetAndDestroy()
}

function nameOf(from: number, to: number): string {
  return `${from}>${to}`
}
