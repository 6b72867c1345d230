/**
 * Several real daemons on loopback that make up one network. Owns their folders (gone when all went well, kept when not), how they find each
 * other, and that none is left running.
 */
import { join } from 'node:path'
import process from 'node:process'
import type { Tip } from '@kvchain/client/contract/schemas'
import { loadIdentity } from '@kvchain/node/identity'
import { peerIdOfSeed } from '@kvchain/node/net/host/host'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { Daemon, type DaemonOptions } from './daemon.js'
import { LabError } from './errors.js'
import { Links, type LinksOptions } from './links/links.js'
import { writePrivateNetwork } from './networks.js'
import { TempDir } from './tempDir.js'
import { waitUntil } from './wait.js'

export type NodeOptions = Partial<Omit<DaemonOptions, 'dataDir' | 'network'>>

export interface ClusterOptions {
  readonly nodes: number
  /** A built-in network or a file, or what makes a file in the cluster's folder before any daemon starts. Default dev. */
  readonly network?: string | ((folder: string) => Promise<string>)
  /**
   * bootstrap: each of the others is told the address of the first (the default). mdns: nobody is told anything; the network is then a private
   * copy, so that the LAN's other daemons stay out. none: they stay alone until the experiment joins them. links: each reaches each other one
   * over a link and in no other way, since none of them dials an address that it was not told of at its start.
   */
  readonly join?: 'bootstrap' | 'mdns' | 'none' | 'links'
  /** What the links are like, for `join: 'links'`. */
  readonly links?: Omit<LinksOptions, 'nodes'>
  /** What is particular to a node. Default: the first one mines. */
  readonly node?: (index: number) => NodeOptions
}

export interface WaitLimit {
  readonly timeoutMs?: number
}

export class Cluster {
  private readonly daemons_: Daemon[] = []
  private links_: Links | undefined

  private constructor(
    private readonly options: ClusterOptions,
    private readonly folder: TempDir,
    /** Name or file of the network that all are on. */
    readonly network: string,
  ) {}

  /** Resolves when every daemon is ready and, unless `join` is none, knows at least one other. On failure none is left running. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const { network: wanted = 'dev', join: way = 'bootstrap' } = options
    const folder = await TempDir.make()
    const network = typeof wanted === 'string' ? wanted : await wanted(folder.path)
    const own = way === 'mdns' ? await writePrivateNetwork(network, folder.path) : network
    const cluster = new Cluster(options, folder, own)
    try {
      await cluster.startAll(way)
      return cluster
    } catch (error) {
      await cluster.stop({ keep: true })
      throw error
    }
  }

  /** Where the data folders are: 0, 1, 2... in the order of the daemons. */
  get path(): string {
    return this.folder.path
  }

  get daemons(): readonly Daemon[] {
    return this.daemons_
  }

  /** The links between the daemons; there are none unless they were joined so. */
  get links(): Links {
    if (this.links_ === undefined) throw new LabError('lab-options', 'these daemons are not joined by links')
    return this.links_
  }

  at(index: number): Daemon {
    const daemon = this.daemons_[index]
    if (daemon === undefined) throw new LabError('lab-options', `there is no daemon ${index}`, { index })
    return daemon
  }

  /** Starts one more daemon, told of nobody unless `options` says so. */
  async add(options: NodeOptions = {}): Promise<Daemon> {
    const index = this.daemons_.length
    const daemon = await this.launch(index, options)
    this.daemons_.push(daemon)
    return daemon
  }

  /** Resolves when every running daemon is connected to `count` others at least; by default to all of them. */
  async waitForPeers(count?: number, { timeoutMs }: WaitLimit = {}): Promise<void> {
    const running = this.running()
    const wanted = count ?? running.length - 1
    const areConnected = async () => {
      const peers = await Promise.all(running.map(async (daemon) => (await daemon.status()).peers))
      return peers.every((number) => number >= wanted)
    }
    await waitUntil(areConnected, { what: `${wanted} peers for everybody`, ...limit(timeoutMs) })
  }

  /** Resolves with the best tip once every running daemon has the same, of this height at least. Same tip, same state root. */
  waitForSameTip({ timeoutMs, minHeight = 0 }: WaitLimit & { readonly minHeight?: number } = {}): Promise<Tip> {
    const running = this.running()
    return waitUntil(
      async () => {
        const tips = await Promise.all(running.map((daemon) => daemon.client.call('chain_tip', {})))
        const [first] = tips
        return tips.every(({ hash, height }) => hash === first?.hash && height >= minHeight) ? first : undefined
      },
      { what: 'the same tip', ...limit(timeoutMs) },
    )
  }

  /** Stops every daemon that runs; then removes the folders, unless told to keep them. */
  async stop({ keep = false }: { readonly keep?: boolean } = {}): Promise<void> {
    await Promise.all(this.daemons_.map((daemon) => daemon.stop()))
    await this.links_?.stop()
    if (!keep) await this.folder.remove()
  }

  private async startAll(way: NonNullable<ClusterOptions['join']>): Promise<void> {
    if (way === 'links') return this.startLinked()
    const { nodes, node = (index) => ({ mine: index === 0 }) } = this.options
    const mdns = way === 'mdns'
    const rest: number[] = Array.from({ length: nodes - 1 }, (_, i) => i + 1)
    const first = this.add({ mdns, ...node(0) })
    const bootstrap = way === 'bootstrap' ? (await first).addresses.slice(0, 1) : []
    const others = await Promise.allSettled([
      first,
      ...rest.map((index) => this.launch(index, { mdns, bootstrap, ...node(index) })),
    ])
    for (const [index, other] of others.entries()) {
      if (other.status === 'fulfilled' && index > 0) this.daemons_.push(other.value)
    }
    const failed = others.find((other) => other.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    if (way !== 'none' && nodes > 1) await this.waitForPeers(1)
  }

  /**
   * Every daemon is told the others' peer ids, each at the port of its own link to it. One that dialled what others tell of, or what a peer
   * says of itself, would go round the links: hence no exchange.
   */
  private async startLinked(): Promise<void> {
    const { nodes, node = (index) => ({ mine: index === 0 }) } = this.options
    const links = await Links.open({ ...this.options.links, nodes })
    this.links_ = links
    const indexes = Array.from({ length: nodes }, (_, i) => i)
    const { random } = systemRuntime()
    const peerIds = await Promise.all(
      indexes.map(async (index) => peerIdOfSeed((await loadIdentity(this.dataDir(index), random)).peerSeed)),
    )
    const starts = await Promise.allSettled(
      indexes.map(async (index) => {
        const others = indexes.filter((other) => other !== index)
        const bootstrap = others.map((other) => `${links.address(index, other)}/p2p/${peerIds[other]}`)
        const daemon = await this.launch(index, { mdns: false, peerExchange: false, bootstrap, ...node(index) })
        links.attach(index, daemon.addresses[0] ?? '')
        return daemon
      }),
    )
    this.daemons_.push(...starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : [])))
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    if (nodes > 1) await this.waitForPeers(1)
  }

  private dataDir(index: number): string {
    return join(this.path, String(index))
  }

  private launch(index: number, options: NodeOptions): Promise<Daemon> {
    return Daemon.start({ ...options, network: this.network, dataDir: this.dataDir(index) })
  }

  private running(): Daemon[] {
    return this.daemons_.filter((daemon) => daemon.isRunning)
  }
}

/** Starts a cluster, hands it to `body`, stops it. The folders are kept, and named on stderr, when `body` fails. */
export async function withCluster<T>(options: ClusterOptions, body: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = await Cluster.start(options)
  let keep = true
  try {
    const result = await body(cluster)
    keep = false
    return result
  } finally {
    await cluster.stop({ keep })
    if (keep) process.stderr.write(`the data folders are kept in ${cluster.path}\n`)
  }
}

function limit(timeoutMs: number | undefined): WaitLimit {
  return timeoutMs === undefined ? {} : { timeoutMs }
}
