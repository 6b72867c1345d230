/**
 * Bounds of the format itself, the same on every network. What a network may choose (value, transaction and block size) is in
 * params.ts; nothing there can exceed what stands here.
 */

/** Largest integer of the encoding: 2^53 - 1, so that every number is exact in JavaScript and in JSON. */
export const MAX_INTEGER: number = Number.MAX_SAFE_INTEGER
/** Bytes in a key, at least 1. 512 leaves room for a path, and keeps a tree record small. */
export const MAX_KEY_BYTES = 512
/** Operations in one transaction, at least 1. */
export const MAX_OPERATIONS = 1_000
/** Accounts that one entry may list as writers. Each costs 32 bytes in every later version of the entry. */
export const MAX_WRITERS = 64
/** Bytes that an encoded value can have. */
export const MAX_VALUE_BYTES: number = 1 << 20
/** Ceilings for the network parameters: bytes of a transaction, which has to go into one gossip message, and of a block. */
export const MAX_TRANSACTION_BYTES = 999_996
export const MAX_BLOCK_BYTES: number = 16 << 20
/** Transactions in one block, whatever its bytes. */
export const MAX_BLOCK_TRANSACTIONS = 100_000
