/** The part of urkel that the bench uses; the package has no types. */
declare module 'urkel' {
  export class Tree {
    constructor(options: { hash: object; bits: number; prefix: string })
    open(): Promise<void>
    close(): Promise<void>
    batch(): { insert(key: Buffer, value: Buffer): Promise<void>; commit(): Promise<Buffer> }
    prove(key: Buffer): Promise<{ type: number }>
  }
}
