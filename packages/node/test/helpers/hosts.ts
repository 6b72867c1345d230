/** What tests of hosts on loopback share: waiting for what they do in their own time, and where they are. */
import type { Host } from '@kvchain/node/net/host/host'
import { systemRuntime } from '@kvchain/node/runtime/runtime'

const { timers } = systemRuntime()

/** Throws after a minute in vain. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 60_000) throw new Error(`waited in vain until ${what}`)
    await timers.sleep(10)
  }
}

/** The first address of a host. Throws when it has none. */
export function addressOf(host: Host): string {
  const [address] = host.addresses()
  if (address === undefined) throw new Error('the host listens nowhere')
  return address
}
