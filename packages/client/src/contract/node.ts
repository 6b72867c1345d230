/** The daemon's own methods: how it is, backup, stop, and what it can be asked. */
import { Type } from '@kvchain/core/typebox'
import type { Static } from 'typebox'
import { Address, Count, closed, Hash, type MethodSpec, Tip } from './schemas.js'

export const NodeStatus = closed({
  network: Type.String(),
  genesis: Hash,
  version: Type.String(),
  peerId: Type.String(),
  account: Address,
  addresses: Type.Array(Type.String()),
  dataDir: Type.String(),
  uptimeMs: Count,
  tip: Tip,
  syncing: Type.Boolean(),
  catchingUp: Type.Optional(
    closed(
      {
        targetHeight: Count,
        blocksPerSecond: Type.Number({ minimum: 0 }),
        secondsLeft: Type.Optional(Count),
      },
      {
        description:
          'while syncing: the height of the best header known, the rate so far, and how long that makes it take',
      },
    ),
  ),
  peers: Count,
  mempool: closed({ transactions: Count, bytes: Count }),
  mining: closed({
    mode: Type.Enum(['off', 'always', 'pending']),
    active: Type.Boolean(),
    threads: Count,
    hashRate: Type.Number({ minimum: 0, description: 'hashes in a second' }),
    address: Address,
  }),
  settleDepth: Count,
})
export type NodeStatus = Static<typeof NodeStatus>

/** Loose on purpose: the OpenRPC specification defines the rest of it. */
const OpenRpc = Type.Object({
  openrpc: Type.String(),
  info: Type.Object({ title: Type.String(), version: Type.String() }),
  methods: Type.Array(Type.Object({ name: Type.String() })),
})

export const nodeMethods = {
  node_status: {
    summary: 'How this daemon is.',
    params: closed({}),
    result: NodeStatus,
    errors: ['unavailable'],
  },
  node_backup: {
    summary: 'Write a backup of this daemon’s data folder, as of now, to a new file on its machine.',
    help: 'Answers when the file is whole and on disk, which may take minutes: do not wait with a short timeout. Refused when something is at the path, or it cannot be written; busy while another backup is being made. With keys, the file holds the secret keys of the daemon.',
    params: closed({
      path: Type.String({ minLength: 1, maxLength: 4096, description: 'absolute; the file is made with mode 0600' }),
      keys: Type.Optional(Type.Boolean({ description: 'true: with the secret keys, too' })),
    }),
    result: closed({
      path: Type.String(),
      records: Count,
      headers: Type.Integer({ minimum: 0, description: 'of all blocks, those of side branches too' }),
      bytes: Count,
    }),
    errors: ['refused', 'busy', 'unavailable'],
  },
  node_stop: {
    summary: 'Stop this daemon, in good order.',
    params: closed({}),
    result: closed({ stopping: Type.Literal(true) }),
    errors: ['unavailable'],
  },
  'rpc.discover': {
    summary: 'This contract, as an OpenRPC document.',
    params: closed({}),
    result: OpenRpc,
    errors: [],
  },
} as const satisfies Record<string, MethodSpec>
