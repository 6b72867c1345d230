/**
 * The ledger of a data folder: the database, the chain on it, and what waits to join it. How they are put together is ledgerParts.ts's; owns
 * that nothing is served from a damaged database: found at a start, it is made anew at once; found later, it is noted, the node ends, and the
 * next start does it.
 */
import { assert } from '@kvchain/core/errors'
import { type Genesis, makeGenesis } from '@kvchain/core/genesis'
import type { Network } from '@kvchain/core/params'
import type { Chain } from './chain/chain.js'
import { sha256 } from './crypto/sodium.js'
import { VerifyPool } from './crypto/verifyPool.js'
import { composeLedger, type LedgerParts } from './ledgerParts.js'
import type { Mempool } from './mempool/mempool.js'
import type { KeptLimits, OwnTransactions } from './mempool/ownTransactions.js'
import { rebuild } from './rebuild.js'
import { StoreError } from './runtime/errors.js'
import type { Failpoints } from './runtime/failpoints.js'
import type { Runtime } from './runtime/runtime.js'
import { BaseService, type Service } from './runtime/service.js'
import { Database, type RawRecord } from './store/database.js'
import { dataBytes, readFiles } from './store/files.js'
import {
  databaseFolder,
  isDamage,
  lockFolder,
  markSuspect,
  noteLasting,
  noteStart,
  noteStop,
  resumeFolders,
} from './store/folders.js'
import { wholeContent } from './store/salvage.js'

export interface LedgerOptions {
  readonly network: Network
  readonly dataDir: string
  /** Threads that check signatures. 0: in this one. */
  readonly verifyThreads: number
  /** Of settled transactions of clients; OwnTransactions' own when left out. */
  readonly kept?: KeptLimits
}

export interface LedgerDeps {
  readonly runtime: Runtime
  readonly failpoints: Failpoints
  /** Disk and memory may disagree, or the disk is damaged: the node must stop. */
  readonly onFatal: (error: unknown) => void
}

/** Files of so many bytes in all are looked at at every start (some tenths of a second), after an end that was no stop, and after two in a row. */
const LOOK_BYTES = [4 << 20, 64 << 20, Number.POSITIVE_INFINITY] as const
/** So often it ended without a stop, though its files looked whole: damage to what LevelDB keeps for itself shows in no record. */
const MAX_UNCLEAN = 3
/** A run of this length did not end for what LevelDB came upon when it opened its files. */
const LASTING_MS = 10 * 60_000

export class Ledger extends BaseService {
  readonly genesis: Genesis
  private readonly verifier: VerifyPool
  private readonly started: Service[] = []
  private lock: Database | undefined
  private parts: LedgerParts | undefined
  private isSuspect = false

  constructor(
    private readonly options: LedgerOptions,
    private readonly deps: LedgerDeps,
  ) {
    super('ledger', deps.runtime.log.child({ module: 'ledger' }))
    this.genesis = makeGenesis(sha256, options.network)
    this.verifier = new VerifyPool({ threads: options.verifyThreads }, { runtime: deps.runtime })
  }

  get database(): Database {
    return this.open.database
  }

  get chain(): Chain {
    return this.open.chain
  }

  get mempool(): Mempool {
    return this.open.mempool
  }

  get own(): OwnTransactions {
    return this.open.own
  }

  private get open(): LedgerParts {
    assert(this.parts !== undefined, 'a ledger is used once it has started')
    return this.parts
  }

  protected async onStart(): Promise<void> {
    const { dataDir } = this.options
    this.lock = await lockFolder(dataDir, this.log)
    await this.verifier.start()
    const ends = await noteStart(dataDir)
    const isDamaged = await resumeFolders({ dataDir, failpoints: this.deps.failpoints })
    if (isDamaged || (await this.hasDamagedFiles(ends))) await this.rebuild()
    let parts = this.compose()
    try {
      await this.begin(parts)
    } catch (error) {
      if (!isDamage(error)) throw error
      this.log.warn({ err: error }, 'the database is damaged')
      await this.stopParts()
      await this.rebuild()
      parts = this.compose()
      await this.begin(parts)
    }
    this.parts = parts
    const { chain, own } = parts
    chain.tips.add(({ header }) => this.track('own transactions', () => own.onTip(header.height)))
    this.track('lasting', async () => {
      await this.deps.runtime.timers.sleep(LASTING_MS, this.signal)
      await noteLasting(dataDir)
    })
  }

  /** LevelDB ends the process for some damage: so the files are looked at before, where that is little work or seems needed. */
  private async hasDamagedFiles(ends: number): Promise<boolean> {
    const { dataDir } = this.options
    const folder = databaseFolder(dataDir)
    if (ends >= MAX_UNCLEAN) {
      this.log.warn({ ends }, 'the database ended so often without a stop that it is taken for damaged')
      return true
    }
    if ((await dataBytes(folder)) > (LOOK_BYTES[ends] ?? Number.POSITIVE_INFINITY)) return false
    let damagedRecords = 0
    const onRecord = (record: RawRecord) => {
      if (wholeContent(record) === undefined) damagedRecords++
    }
    const files = await readFiles({ dataDir, folder, log: this.log, onRecord })
    if (files.length === 0 && damagedRecords === 0) return false
    this.log.warn({ files: files.join(' '), damagedRecords }, 'files of the database are damaged')
    return true
  }

  private async begin({ database, chain, own }: LedgerParts): Promise<void> {
    for (const service of [database, chain, own]) {
      this.started.push(service)
      await service.start()
    }
  }

  private async rebuild(): Promise<void> {
    this.log.warn({}, 'making the database anew from what is whole of it')
    const { options, deps, genesis, verifier } = this
    await rebuild({ ...options, ...deps, genesis, verifier })
    // What came before was the old one's.
    await noteStop(options.dataDir)
    await noteStart(options.dataDir)
  }

  private compose(): LedgerParts {
    const { genesis, verifier } = this
    const { runtime, failpoints } = this.deps
    const { network, dataDir, kept } = this.options
    const log = runtime.log.child({ module: 'store' })
    const onDamage = (error: StoreError) => this.onDamage(error)
    const database = new Database(databaseFolder(dataDir), log, { failpoints, onDamage })
    return composeLedger(
      { network, genesis, ...(kept === undefined ? {} : { kept }) },
      { runtime, database, verifier, onFatal: (error) => this.onCommitFailed(error) },
    )
  }

  /** Nothing more is answered from this database. A start deals with damage itself. */
  private onDamage(error: StoreError): void {
    if (this.parts === undefined || this.isSuspect) return
    this.isSuspect = true
    const { dataDir } = this.options
    try {
      markSuspect({ dataDir, failpoints: this.deps.failpoints }, error.message)
    } catch (cause) {
      this.log.error({ err: cause }, 'the damage could not be noted: kvchain db rebuild is needed')
    }
    const advice = 'start the daemon again, and it makes the database anew from what is whole of it'
    this.deps.onFatal(new StoreError('store-corrupt', `${error.message}: ${advice}`, error.data, error))
  }

  private onCommitFailed(error: unknown): void {
    if (this.parts !== undefined || !isDamage(error)) this.deps.onFatal(error)
  }

  /** Every failure is reported, none keeps the others from stopping. */
  private async stopParts(): Promise<void> {
    for (let service = this.started.pop(); service !== undefined; service = this.started.pop()) {
      try {
        await service.stop()
      } catch (error) {
        this.log.error({ err: error }, 'a part of the ledger could not be stopped')
      }
    }
  }

  protected async onStop(): Promise<void> {
    await this.stopParts()
    await this.verifier.stop()
    if (this.lock === undefined) return
    await noteStop(this.options.dataDir)
    await this.lock.stop()
  }
}
