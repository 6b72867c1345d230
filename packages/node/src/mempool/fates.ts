/** What became of transactions that are gone: the last so many, the oldest forgotten first. */

export class Fates<Reason> {
  private readonly reasons = new Map<string, Reason>()

  constructor(private readonly limit: number) {}

  get(txid: string): Reason | undefined {
    return this.reasons.get(txid)
  }

  set(txid: string, reason: Reason): void {
    this.reasons.delete(txid)
    this.reasons.set(txid, reason)
    if (this.reasons.size <= this.limit) return
    const [oldest] = this.reasons.keys()
    if (oldest !== undefined) this.reasons.delete(oldest)
  }

  delete(txid: string): void {
    this.reasons.delete(txid)
  }
}
