/** Those who look on at the peers of a host. Owns the list; one that fails is logged and keeps nothing from the others. */
import type { Log } from '../../runtime/runtime.js'
import type { PeerObserver } from './peer.js'

/** Many observers as one. */
export class PeerObservers implements PeerObserver {
  private readonly observers = new Set<PeerObserver>()

  constructor(private readonly log: Log) {}

  /** Returns the function that removes the observer again. */
  add(observer: PeerObserver): () => void {
    this.observers.add(observer)
    return () => this.observers.delete(observer)
  }

  clear(): void {
    this.observers.clear()
  }

  connected(peerId: string): void {
    this.notify((observer) => observer.connected?.(peerId))
  }

  disconnected(peerId: string): void {
    this.notify((observer) => observer.disconnected?.(peerId))
  }

  discovered(peerId: string, addresses: readonly string[]): void {
    this.notify((observer) => observer.discovered?.(peerId, addresses))
  }

  private notify(tell: (observer: PeerObserver) => void): void {
    for (const observer of [...this.observers]) {
      try {
        tell(observer)
      } catch (error) {
        this.log.error({ err: error }, 'an observer of peers failed')
      }
    }
  }
}
