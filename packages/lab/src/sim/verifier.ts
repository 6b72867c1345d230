/**
 * Signature checks that all nodes of a world share: each signature is really verified once, by the node that meets it first; the others are told the
 * same verdict. A hundred nodes would find the same a hundred times.
 */
import { toMapKey } from '@kvchain/core/bytes'
import { verifySignature } from '@kvchain/node/crypto/sodium'
import type { SignatureVerifier, SignedItem } from '@kvchain/node/crypto/verifyPool'

/** Verdicts; the oldest is forgotten, and found again. */
const MAX_VERDICTS = 100_000

export class SharedVerifier implements SignatureVerifier {
  private readonly verdicts = new Map<string, boolean>()

  async verifyBatch(items: readonly SignedItem[]): Promise<boolean[]> {
    return items.map((item) => this.verify(item))
  }

  private verify({ signature, message, publicKey }: SignedItem): boolean {
    const name = toMapKey(message) + toMapKey(publicKey) + toMapKey(signature)
    const known = this.verdicts.get(name)
    if (known !== undefined) return known
    const verdict = verifySignature(signature, message, publicKey)
    this.verdicts.set(name, verdict)
    const [oldest] = this.verdicts.keys()
    if (this.verdicts.size > MAX_VERDICTS && oldest !== undefined) this.verdicts.delete(oldest)
    return verdict
  }
}
