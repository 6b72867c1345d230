/**
 * A network that only those enter who have its pre-shared key: every byte of a connection is enciphered with it, before anything else is
 * said. Owns telling who did not have it: such a connection makes no sense from its first byte on, and ends before anybody says who he is.
 */
import type { ConnectionProtector } from '@libp2p/interface'
import { preSharedKey } from '@libp2p/pnet'
import { isMultiaddr } from '@multiformats/multiaddr'
import { hex } from '../../runtime/hex.js'
import { hostOf } from '../address.js'

/** Hosts that were told of, and are not told of again. */
const MAX_TOLD = 100

export class PrivateNetwork {
  /** Connections of which nobody knows yet whether they have the key. */
  private readonly unproven = new WeakSet<object>()
  private readonly told = new Set<string>()

  /** @param key 32 bytes. `onStranger` is called once for each host whose connection made no sense. */
  constructor(
    private readonly key: Uint8Array,
    private readonly onStranger: (host: string) => void,
  ) {}

  /** What the host is made with. */
  readonly protector = (): ConnectionProtector => {
    const psk = new TextEncoder().encode(`/key/swarm/psk/1.0.0/\n/base16/\n${hex(this.key)}`)
    const inner = preSharedKey({ psk })()
    return {
      protect: async (connection, options) => {
        this.unproven.add(connection)
        connection.addEventListener('close', () => this.onClose(connection), { once: true })
        return await inner.protect(connection, options)
      },
    }
  }

  /** The peer at the other end proved who it is, which nobody can without the key. */
  proven(connection: object): void {
    this.unproven.delete(connection)
  }

  private onClose(connection: object): void {
    if (!this.unproven.delete(connection)) return
    const address: unknown = Reflect.get(connection, 'remoteAddr')
    const host = isMultiaddr(address) ? (hostOf(address) ?? '') : ''
    if (this.told.has(host) || this.told.size >= MAX_TOLD) return
    this.told.add(host)
    this.onStranger(host)
  }
}
