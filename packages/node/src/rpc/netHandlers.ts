/** What clients may know of other nodes, and do about them. */
import type { Handlers } from '@kvchain/client/contract'
import { DEFAULT_BAN_SECONDS } from '@kvchain/client/contract/net'
import type { Host } from '../net/host/host.js'
import type { PeerManager } from '../net/peers/peerManager.js'
import { OptionsError } from '../runtime/errors.js'
import type { Sync } from '../sync/sync.js'
import { AnswerError } from './answers.js'

type NetHandlers = Pick<Handlers, 'net_peers' | 'net_bans' | 'net_ban' | 'net_unban'>

export interface NetParts {
  readonly host: Pick<Host, 'peers'>
  readonly sync: Pick<Sync, 'statusOf'>
  readonly peers: Pick<PeerManager, 'score' | 'bans' | 'ban' | 'unban'>
}

export function netHandlers({ host, sync, peers }: NetParts): NetHandlers {
  return {
    async net_peers() {
      const found = host.peers().map(({ peerId, address, direction, connectedForMs, agent }) => {
        const height = sync.statusOf(peerId)?.height
        return {
          peerId,
          address,
          direction,
          connectedMs: Math.round(connectedForMs),
          ...(height === undefined ? {} : { height }),
          ...(agent === undefined ? {} : { agent }),
          score: Math.ceil(peers.score(peerId)),
        }
      })
      return { peers: found }
    },

    async net_bans() {
      return { bans: peers.bans().map((ban) => ({ ...ban })) }
    },

    async net_ban({ target, seconds = DEFAULT_BAN_SECONDS, reason = 'by hand' }) {
      return withTarget(() => ({ ...peers.ban(target, seconds, reason) }))
    },

    async net_unban({ target }) {
      return withTarget(() => ({ lifted: peers.unban(target) }))
    },
  }
}

/** What is said of a target that is none is said to the client. */
function withTarget<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error
    throw new AnswerError('invalid-params', `target: ${error.message}`, { field: 'target' })
  }
}
