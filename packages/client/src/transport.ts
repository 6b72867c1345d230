/** What KvClient needs of whatever carries its requests. A transport knows JSON-RPC, not the contract. */

export interface CallOptions {
  /** Calls the waiting off. What was sent may still be carried out. */
  readonly signal?: AbortSignal
  /** How long to wait for the answer. */
  readonly timeoutMs?: number
}

export interface TransportCall {
  readonly method: string
  readonly params: object
}

/** One answer of a batch. */
export type TransportAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: unknown }

export interface Transport {
  /** Resolves with the result as it came; throws RpcError for an error of the daemon's, ClientError otherwise. */
  request(call: TransportCall, options?: CallOptions): Promise<unknown>
  /** Sends several requests as one message. The answers stand in the order of the calls. */
  batch(calls: readonly TransportCall[], options?: CallOptions): Promise<TransportAnswer[]>
  /** Ends the connection; whatever waits gets ClientError `closed`. */
  close(): Promise<void>
}
