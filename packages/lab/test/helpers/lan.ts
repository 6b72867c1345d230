/**
 * A local network of several hosts on this machine: network namespaces, each with an interface of its own, on a bridge that is in a namespace too.
 * Nothing of it is in the machine's own network, and nothing is left of it. Needs root and `ip`.
 */
import { execFileSync } from 'node:child_process'
import process from 'node:process'

const PREFIX = `kv${process.pid}`
const SWITCH = `${PREFIX}-switch`

/** Why this machine cannot have one; undefined if it can. */
export function whyNoLan(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces take root'
  try {
    ip('netns', 'add', `${PREFIX}-probe`)
    ip('link', 'add', 'probe', 'netns', `${PREFIX}-probe`, 'type', 'bridge')
    return undefined
  } catch (error) {
    return `this machine has no network namespaces or no bridges: ${error instanceof Error ? error.message : error}`
  } finally {
    remove(`${PREFIX}-probe`)
  }
}

export class Lan {
  private readonly onExit = (): void => this.remove()

  /** Makes it. Removed at the latest when this process ends. */
  constructor(private readonly hosts: number) {
    process.once('exit', this.onExit)
    try {
      ip('netns', 'add', SWITCH)
      ip('-n', SWITCH, 'link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0')
      ip('-n', SWITCH, 'link', 'set', 'bridge', 'up')
      for (let host = 0; host < hosts; host++) this.plug(host)
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /** The command that runs a program on a host. */
  on(host: number): readonly string[] {
    return ['ip', 'netns', 'exec', nameOf(host)]
  }

  address(host: number): string {
    return `10.77.0.${host + 1}`
  }

  /** Pulls the host's cable. */
  cut(host: number): void {
    ip('-n', SWITCH, 'link', 'set', `port${host}`, 'down')
  }

  heal(host: number): void {
    ip('-n', SWITCH, 'link', 'set', `port${host}`, 'up')
  }

  remove(): void {
    process.removeListener('exit', this.onExit)
    for (let host = 0; host < this.hosts; host++) remove(nameOf(host))
    remove(SWITCH)
  }

  private plug(host: number): void {
    const [name, port] = [nameOf(host), `port${host}`]
    ip('netns', 'add', name)
    ip('link', 'add', 'lan', 'netns', name, 'type', 'veth', 'peer', 'name', port, 'netns', SWITCH)
    ip('-n', SWITCH, 'link', 'set', port, 'master', 'bridge', 'up')
    ip('-n', name, 'address', 'add', `${this.address(host)}/24`, 'dev', 'lan')
    for (const device of ['lo', 'lan']) ip('-n', name, 'link', 'set', device, 'up')
    // Without a way for multicast, mDNS hears nothing and says nothing of it.
    ip('-n', name, 'route', 'add', '224.0.0.0/4', 'dev', 'lan')
  }
}

function nameOf(host: number): string {
  return `${PREFIX}-${host}`
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** With everything that is in it. Harmless when there is no such namespace. */
function remove(name: string): void {
  try {
    ip('netns', 'delete', name)
  } catch {
    // It was not made.
  }
}
