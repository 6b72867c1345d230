/**
 * Mining of blocks that are not what a template says. Owns the loop: a template of the node's own chain, what the behaviour makes of it, the work for it, and
 * telling whom the behaviour wants to be told. The work is as dear as honest work.
 */
import type { Block } from '@kvchain/core/block'
import { headerCommitment } from '@kvchain/core/header'
import type { Chain } from '@kvchain/node/chain/chain'
import { sha256 } from '@kvchain/node/crypto/sodium'
import type { Mempool } from '@kvchain/node/mempool/mempool'
import type { PowSearcher } from '@kvchain/node/miner/powPool'
import { TemplateBuilder } from '@kvchain/node/miner/template'
import { encodeAnnouncement, SALT_BYTES } from '@kvchain/node/net/announcement'
import { AbortError } from '@kvchain/node/runtime/errors'
import { BaseService } from '@kvchain/node/runtime/service'
import type { Byzantine, ForgedBlock } from './byzantine.js'
import type { Life } from './runtime.js'
import type { SimTransport } from './transport.js'

export interface ForgerDeps {
  readonly life: Life
  readonly chain: Chain
  readonly mempool: Mempool
  readonly searcher: PowSearcher
  readonly transport: SimTransport
  readonly account: Uint8Array
  readonly forge: NonNullable<Byzantine['forge']>
}

/** After a template that could not be built, or a block that came to nothing. */
const PAUSE_MS = 100

export class Forger extends BaseService {
  private readonly builder: TemplateBuilder
  private interrupt = new AbortController()

  constructor(private readonly deps: ForgerDeps) {
    super('forger', deps.life.log)
    const { chain, mempool, account, life } = deps
    this.builder = new TemplateBuilder(chain, mempool, account, life)
  }

  private async run(): Promise<void> {
    while (!this.signal.aborted) {
      this.interrupt = new AbortController()
      try {
        const template = await this.builder.build()
        if (template === undefined) await this.deps.life.timers.sleep(PAUSE_MS, this.signal)
        else await this.make(this.deps.forge(template))
      } catch (error) {
        if (!(error instanceof AbortError)) throw error
      }
    }
  }

  /** Solves all of them before it shows any, so that the first does not call off the search for the second. */
  private async make(blocks: readonly ForgedBlock[]): Promise<void> {
    const { searcher, transport, chain, life } = this.deps
    const solved: { block: Block; forged: ForgedBlock }[] = []
    for (const forged of blocks) {
      const { header, transactions } = forged
      const commitment = headerCommitment(sha256, header)
      const range = { commitment, target: header.target, start: 0, count: Number.MAX_SAFE_INTEGER }
      const nonce = await searcher.search(range, this.interrupt.signal)
      if (nonce !== undefined) solved.push({ forged, block: { header: { ...header, nonce }, transactions } })
    }
    for (const { block, forged } of solved) {
      transport.publish('blocks', encodeAnnouncement(sha256, block, life.random.bytes(SALT_BYTES)), forged.isFor)
      if (forged.isKept) await chain.addBlock(block, 'forger')
    }
    await life.timers.sleep(PAUSE_MS, this.signal)
  }

  protected async onStart(): Promise<void> {
    const remove = this.deps.chain.tips.add(() => this.interrupt.abort())
    this.signal.addEventListener('abort', () => {
      remove()
      this.interrupt.abort()
    })
    this.track('forging', () => this.run())
  }

  protected async onStop(): Promise<void> {}
}
