/** The daemon's own methods. */
import type { Handlers, Params, Result } from '@kvchain/client/contract'
import { openRpcDocument } from '@kvchain/client/openrpc'
import { OptionsError } from '../runtime/errors.js'
import { AnswerError } from './answers.js'
import { tipText } from './chainHandlers.js'
import type { ReadContext } from './context.js'

type NodeHandlers = Pick<Handlers, 'node_status' | 'node_backup' | 'node_stop' | 'rpc.discover'>

/** What only the composition root knows. */
export interface NodeFacts {
  readonly version: string
  status(): Omit<Result<'node_status'>, 'tip' | 'mempool' | 'settleDepth' | 'version'>
  /** Throws OptionsError when the file cannot be written, BusyError while another is. */
  backup(params: Params<'node_backup'>, signal: AbortSignal): Promise<Result<'node_backup'>>
  /** Begins to stop, after the answer is out. */
  requestStop(): void
}

export function nodeHandlers({ chain, mempool, settleDepth }: ReadContext, facts: NodeFacts): NodeHandlers {
  return {
    async node_status() {
      await chain.consistent()
      return {
        ...facts.status(),
        version: facts.version,
        tip: tipText(chain.tip),
        mempool: { transactions: mempool.size, bytes: mempool.bytes },
        settleDepth,
      }
    },

    async node_backup(params, { signal }) {
      try {
        return await facts.backup(params, signal)
      } catch (error) {
        if (!(error instanceof OptionsError)) throw error
        throw new AnswerError('refused', error.message, { rule: 'backup-path', path: params.path })
      }
    },

    async node_stop() {
      facts.requestStop()
      return { stopping: true }
    },

    async 'rpc.discover'() {
      return openRpcDocument(facts.version)
    },
  }
}
