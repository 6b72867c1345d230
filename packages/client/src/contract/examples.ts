/**
 * One call of each method, as it goes over the socket: what the OpenRPC document and docs/rpc.md show. A test holds each against the contract,
 * so that an example cannot be of another time.
 */
import type { MethodName, Params, Result } from '../contract.js'
import type { Receipt, TipRef } from './schemas.js'

export interface Example<M extends MethodName> {
  readonly params: Params<M>
  readonly result: Result<M>
}

const BLOCK = '000003a1c5e0b7d24f9a86c1d3e5f70912b4d6e8fa0c1e3052749618badcfe01'
const PARENT = '0000001f2e3d4c5b6a798897a6b5c4d3e2f1001f2e3d4c5b6a798897a6b5c4d3'
const STATE = '9b2c4d6e8f01a3b5c7d9ebfd0f213345576779899badbfd1e3f507192b3d4f61'
const TXID = '4f1a7c0be2d35968b1c4d7eaf0132436495c6f8295a8bbcee1f4071a2d405366'
const DIGEST = '3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b'
const TARGET = '00000fffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'
const ALICE = 'kvdev1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurs8j8v9h'
const BOB = 'kvdev1pyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyys6q2ef0'
const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const TIME_MS = 1_790_000_000_000

const tip: TipRef = { height: 1041, hash: BLOCK }
const fullTip = { ...tip, chainwork: '41100000', stateRoot: STATE, timestampMs: TIME_MS }
const key = { key: 'fruit/apple', keyEncoding: 'utf8' } as const
const receipt: Receipt = { txid: TXID, accountNonce: 7, status: 'pending' }
const reversal = { attackerShare: 0.1, probability: 0.000_914 }
const place = { height: 1036, blockHash: PARENT }

/** An example for each method of the contract. */
export const EXAMPLES: { readonly [M in MethodName]: Example<M> } = {
  kv_put: { params: { key: 'fruit/apple', value: 'red', expect: { absent: true } }, result: receipt },
  kv_delete: { params: { key: 'fruit/apple' }, result: receipt },
  kv_access: { params: { key: 'fruit/apple', access: { writers: [BOB] } }, result: receipt },
  kv_batch: {
    params: {
      operations: [
        { op: 'put', key: 'fruit/apple', value: 'green', expect: { version: 1 } },
        { op: 'delete', key: 'fruit/pear' },
      ],
    },
    result: receipt,
  },
  kv_get: {
    params: { key: 'fruit/apple' },
    result: {
      ...key,
      value: 'red',
      encoding: 'utf8',
      version: 1,
      ...place,
      confirmations: 6,
      settled: true,
      reversal,
      owner: ALICE,
      writers: 'private',
      txid: TXID,
      valueDigest: DIGEST,
      tip,
    },
  },
  kv_scan: {
    params: { prefix: 'fruit/', limit: 1 },
    result: {
      entries: [
        {
          ...key,
          value: 'red',
          encoding: 'utf8',
          version: 1,
          height: 1036,
          confirmations: 6,
          owner: ALICE,
          txid: TXID,
        },
      ],
      next: key,
      tip,
    },
  },
  kv_history: {
    params: { key: 'fruit/apple', limit: 1 },
    result: {
      ...key,
      versions: [
        {
          version: 1,
          deleted: false,
          value: 'red',
          encoding: 'utf8',
          ...place,
          confirmations: 6,
          timestampMs: TIME_MS,
          owner: ALICE,
          author: ALICE,
          txid: TXID,
          valueDigest: DIGEST,
        },
      ],
      tip,
    },
  },
  kv_watch: {
    params: { prefix: 'fruit/', fromHeight: 1000 },
    result: {
      events: [
        {
          kind: 'put',
          ...key,
          version: 1,
          value: 'red',
          encoding: 'utf8',
          valueDigest: DIGEST,
          valueLength: 3,
          author: ALICE,
          txid: TXID,
          ...place,
        },
      ],
      cursor: `1036.${BLOCK}`,
      tip,
    },
  },
  kv_prove: {
    params: { key: 'fruit/apple' },
    result: {
      ...key,
      kind: 'entry',
      claim: 'present',
      version: 1,
      ...place,
      confirmations: 6,
      tip,
      proof: 'a3Zwcm9vZgA=',
      size: 3104,
    },
  },
  chain_headers: { params: { from: 0, count: 2 }, result: { from: 0, count: 2, headers: 'AAAAAA==', tip } },
  coin_send: { params: { to: BOB, amount: 25 }, result: receipt },
  coin_balance: {
    params: {},
    result: { address: ALICE, balance: 1200, pendingBalance: 1175, accountNonce: 7, nextNonce: 8, tip },
  },
  coin_fee: { params: { size: 300, blocks: 2 }, result: { fee: 30, minimum: 30, feePerByte: 0.1, pendingBytes: 5120 } },
  tx_submit: { params: { transaction: '0100ff' }, result: receipt },
  tx_pending: {
    params: { limit: 1 },
    result: {
      transactions: [{ txid: TXID, sender: ALICE, accountNonce: 7, fee: 0, size: 251, ageMs: 480, own: true }],
      count: 1,
      bytes: 251,
    },
  },
  tx_status: {
    params: { txid: TXID },
    result: { txid: TXID, status: 'confirmed', ...place, confirmations: 6, settled: true, outcome: { code: 'ok' } },
  },
  tx_wait: {
    params: { txid: TXID, confirmations: 1, timeoutMs: 60_000 },
    result: { txid: TXID, status: 'confirmed', ...place, confirmations: 1, settled: false, outcome: { code: 'ok' } },
  },
  tx_follow: {
    params: { txid: TXID, seen: 'pending' },
    result: {
      txid: TXID,
      status: 'confirmed',
      ...place,
      confirmations: 1,
      settled: false,
      outcome: { code: 'ok' },
      state: `confirmed ${PARENT}`,
      final: false,
    },
  },
  tx_get: {
    params: { txid: TXID },
    result: {
      txid: TXID,
      sender: ALICE,
      accountNonce: 7,
      fee: 0,
      operations: [
        {
          kind: 'put',
          ...key,
          expect: { absent: true },
          value: 'red',
          encoding: 'utf8',
          valueLength: 3,
          valueDigest: DIGEST,
          access: 'keep',
        },
      ],
      status: 'confirmed',
      ...place,
      confirmations: 6,
      settled: true,
      outcome: { code: 'ok' },
    },
  },
  chain_reorgs: {
    params: { limit: 1 },
    result: {
      reorgs: [
        {
          number: 1,
          timeMs: TIME_MS,
          depth: 1,
          fork: { height: 1034, hash: PARENT },
          from: { height: 1035, hash: DIGEST },
          to: { height: 1036, hash: BLOCK },
          alarm: false,
          lost: [],
          lostCount: 0,
        },
      ],
    },
  },
  chain_tip: { params: {}, result: fullTip },
  chain_block: {
    params: { height: 1041 },
    result: {
      hash: BLOCK,
      height: 1041,
      parent: PARENT,
      timestampMs: TIME_MS,
      target: TARGET,
      chainwork: '41100000',
      txRoot: DIGEST,
      stateRoot: STATE,
      miner: ALICE,
      nonce: 90_211,
      confirmations: 1,
      onMainChain: true,
      size: 412,
      transactions: [{ txid: TXID, sender: ALICE, outcome: { code: 'ok' }, operations: 1 }],
    },
  },
  node_status: {
    params: {},
    result: {
      network: 'dev',
      genesis: PARENT,
      version: '0.1.0',
      peerId: PEER,
      account: ALICE,
      addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${PEER}`],
      dataDir: '/home/alice/.kvchain/dev',
      uptimeMs: 86_400_000,
      tip: fullTip,
      syncing: false,
      peers: 1,
      mempool: { transactions: 1, bytes: 214 },
      mining: { mode: 'always', active: true, threads: 1, hashRate: 410_000, address: ALICE },
      settleDepth: 6,
    },
  },
  net_peers: {
    params: {},
    result: {
      peers: [
        { peerId: PEER, address: '/ip4/192.0.2.7/tcp/4001', direction: 'outbound', connectedMs: 5000, height: 1041 },
      ],
    },
  },
  net_bans: {
    params: {},
    result: {
      bans: [
        { target: PEER, untilMs: 1_700_000_600_000, reason: 'block-pow', by: 'node', times: 1 },
        { target: '198.51.100.0/24', untilMs: 1_700_086_400_000, reason: 'by hand', by: 'operator', times: 0 },
      ],
    },
  },
  net_ban: {
    params: { target: '198.51.100.0/24', seconds: 86_400 },
    result: { target: '198.51.100.0/24', untilMs: 1_700_086_400_000, reason: 'by hand', by: 'operator', times: 0 },
  },
  net_unban: { params: { target: '198.51.100.0/24' }, result: { lifted: true } },
  node_backup: {
    params: { path: '/var/backups/kvchain/dev.kvbackup' },
    result: { path: '/var/backups/kvchain/dev.kvbackup', records: 3177, headers: 1042, bytes: 1_410_233 },
  },
  node_stop: { params: {}, result: { stopping: true } },
  'rpc.discover': {
    params: {},
    result: { openrpc: '1.3.2', info: { title: 'kvchain', version: '0.1.0' }, methods: [{ name: 'kv_put' }] },
  },
}
