/** Real hosts with gossip in this process, each connected to each over a link that delays. Owns that they are meshed before anything is measured. */
import { Links } from '@kvchain/lab/links/links'
import { waitUntil } from '@kvchain/lab/wait'
import { Gossip } from '@kvchain/node/net/gossip'
import { Host } from '@kvchain/node/net/host/host'
import { systemRuntime } from '@kvchain/node/runtime/runtime'

const SEED_BYTES = 32
const MESH_TIMEOUT_MS = 120_000

export interface LinkedNode {
  readonly host: Host
  readonly gossip: Gossip
}

export class LinkedNodes {
  private constructor(
    private readonly links: Links,
    readonly nodes: readonly LinkedNode[],
  ) {}

  static async open(count: number, networkId: string, delayMs: number): Promise<LinkedNodes> {
    const runtime = systemRuntime()
    const links = await Links.open({ nodes: count, rule: { delayMs } })
    const nodes: LinkedNode[] = []
    for (let index = 0; index < count; index++) {
      const identity = runtime.random.bytes(SEED_BYTES)
      const listen = ['/ip4/127.0.0.1/tcp/0']
      const host = new Host({ networkId, identity, listen, mdns: false, maxConnections: 2 * count }, { runtime })
      const gossip = new Gossip({}, { runtime, host })
      await host.start()
      await gossip.start()
      links.attach(index, host.addresses()[0] ?? '')
      nodes.push({ host, gossip })
    }
    return new LinkedNodes(links, nodes)
  }

  /** Connects each with each, and waits until gossip flows. */
  async mesh(signal: AbortSignal): Promise<void> {
    const { nodes, links } = this
    for (const [from, { host }] of nodes.entries()) {
      for (const [to, other] of nodes.entries()) {
        if (from < to) await host.dial(`${links.address(from, to)}/p2p/${other.host.peerId}`, signal)
      }
    }
    const wanted = Math.min(4, nodes.length - 1)
    const isMeshed = () => nodes.every(({ gossip }) => gossip.meshPeers('blocks').length >= wanted)
    await waitUntil(isMeshed, { what: 'a mesh', timeoutMs: MESH_TIMEOUT_MS, signal })
  }

  /** Bytes that all links have carried. */
  get carried(): number {
    const indexes = [...this.nodes.keys()]
    return indexes.reduce(
      (sum, from) => sum + indexes.reduce((row, to) => row + (from === to ? 0 : this.links.carried(from, to)), 0),
      0,
    )
  }

  async stop(): Promise<void> {
    for (const { gossip, host } of this.nodes) {
      await gossip.stop()
      await host.stop()
    }
    await this.links.stop()
  }
}
