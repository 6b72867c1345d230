/** Seeded randomness of the difficulty experiments: the same seed gives the same draws on every machine. (sfc32 of PractRand) */

export class Random {
  private a: number
  private b: number
  private c: number
  private count = 1

  /** `stream` keeps the draws of different experiments with the same seed apart. */
  constructor(seed: number, stream = 0) {
    this.a = seed | 0
    this.b = stream | 0
    this.c = 0x9e3779b9
    for (let i = 0; i < 15; i++) this.u32()
  }

  private u32(): number {
    const out = (this.a + this.b + this.count) | 0
    this.count = (this.count + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + out
    return out >>> 0
  }

  /** Uniform, strictly between 0 and 1. */
  uniform(): number {
    return (this.u32() + 0.5) / 2 ** 32
  }

  /** Exponential with mean 1: what a search without memory takes. */
  exponential(): number {
    return -Math.log(this.uniform())
  }
}
