/** The daemon and other nodes: whom it is connected to, whom it shuts out. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import { Count, closed, type MethodSpec, Positive } from './schemas.js'

export const NetPeer = closed({
  peerId: Type.String(),
  address: Type.String(),
  direction: Type.Enum(['inbound', 'outbound']),
  connectedMs: Type.Integer({ minimum: 0, description: 'for how long it has been connected' }),
  height: Type.Optional(Count),
  agent: Type.Optional(Type.String()),
  score: Type.Optional(
    Type.Number({ maximum: 0, description: 'what penalties took; at -50 it is hung up on, at -100 banned' }),
  ),
})
export type NetPeer = Static<typeof NetPeer>

const Target = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'a peer id, an IP address, or a range of those such as 192.0.2.0/24',
})

export const NetBan = closed({
  target: Target,
  untilMs: Type.Integer({ minimum: 0, description: 'when it ends, in milliseconds since 1970' }),
  reason: Type.String({ description: 'the code of the last violation, or what the operator said' }),
  by: Type.Enum(['node', 'operator']),
  times: Type.Integer({ minimum: 0, description: 'how often the node banned it in a row; each ban is twice as long' }),
})
export type NetBan = Static<typeof NetBan>

const YEAR_SECONDS = 31_536_000
export const DEFAULT_BAN_SECONDS = 86_400

export const netMethods = {
  net_peers: {
    summary: 'The peers that this daemon is connected to.',
    params: closed({}),
    result: closed({ peers: Type.Array(NetPeer) }),
    errors: ['unavailable'],
  },
  net_bans: {
    summary: 'Whom this daemon shuts out, until when, and why.',
    params: closed({}),
    result: closed({ bans: Type.Array(NetBan) }),
    errors: ['unavailable'],
  },
  net_ban: {
    summary: 'Shut out a peer, an address or a range of addresses, in both directions.',
    help: 'Whoever is connected is hung up on. A ban that is there already is replaced. It survives a restart.',
    params: closed({
      target: Target,
      seconds: Type.Optional(
        Type.Integer({ ...Positive, maximum: YEAR_SECONDS, description: 'for how long; a day when left out' }),
      ),
      reason: Type.Optional(Type.String({ maxLength: 200, description: 'for whoever reads the list' })),
    }),
    result: NetBan,
    errors: ['unavailable'],
  },
  net_unban: {
    summary: 'Lift a ban, and forgive what led to it.',
    params: closed({ target: Target }),
    result: closed({ lifted: Type.Boolean({ description: 'false: there was no such ban' }) }),
    errors: ['unavailable'],
  },
} as const satisfies Record<string, MethodSpec>
