/**
 * kvchain db: a look at everything in a data folder, and a new database made of what is whole in it. Owns what is printed; the work is the node's.
 */
import { makeGenesis } from '@kvchain/core/genesis'
import { type CheckReport, checkDatabase } from '@kvchain/node/check'
import { sha256 } from '@kvchain/node/crypto/sodium'
import { VerifyPool } from '@kvchain/node/crypto/verifyPool'
import { readNetwork } from '@kvchain/node/networkFile'
import { type RebuildOptions, type Rebuilt, rebuild } from '@kvchain/node/rebuild'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { lockFolder, noteStop, requireDatabase } from '@kvchain/node/store/folders'
import { armedFailpoints } from '../daemon/failpoint.js'
import { makeLog } from '../daemon/log.js'
import type { Settings } from '../daemon/settings.js'
import { CliError } from '../exits.js'
import { defaultDataDir } from '../paths.js'
import { StepProgress } from '../stepProgress.js'
import { fieldLines, print } from '../terminal.js'

/** Threads that check signatures, besides the one that does the rest. */
export const VERIFY_THREADS = 1

/** Prints what there is and what is wrong with it. Throws CliError when anything is. */
export async function dbCheck(settings: Settings): Promise<void> {
  const options = await databaseOptions(settings)
  const report = await checkDatabase(options).finally(() => options.shown.end())
  print(reportText(report))
  if (report.problems.size === 0) return
  const advice = `make it anew from what is whole: kvchain db rebuild --network ${settings.network} --data-dir ${options.dataDir}`
  throw new CliError('failed', `the database is damaged; ${advice}`)
}

/** Makes the database anew, however sound it may be. */
export async function dbRebuild(settings: Settings): Promise<void> {
  const options = await databaseOptions(settings)
  const { dataDir, runtime } = options
  await requireDatabase(dataDir)
  const lock = await lockFolder(dataDir, runtime.log)
  const verifier = new VerifyPool({ threads: VERIFY_THREADS }, { runtime })
  try {
    await verifier.start()
    print(rebuiltText(await rebuild({ ...options, verifier }).finally(() => options.shown.end())))
    await noteStop(dataDir)
  } finally {
    await verifier.stop()
    await lock.stop()
  }
}

/** What the work on a data folder needs, and what shows how far it is; `shown.end()` takes that away. */
export async function databaseOptions(
  settings: Settings,
): Promise<Omit<Required<RebuildOptions>, 'verifier'> & { readonly shown: StepProgress }> {
  const network = await readNetwork(settings.network)
  const { log, release } = makeLog(settings)
  release()
  const shown = new StepProgress()
  return {
    shown,
    dataDir: settings.dataDir ?? defaultDataDir(network.name),
    network,
    genesis: makeGenesis(sha256, network),
    runtime: systemRuntime(log),
    failpoints: armedFailpoints(process.env),
    onProgress: (progress) => shown.note(progress),
  }
}

function reportText({ height, keys, accounts, transactions, problems }: CheckReport): string {
  const found = [...problems].map(([problem, times]) => `${times} x ${problem}\n`).join('')
  const counts: readonly (readonly [string, number | undefined])[] = [
    ['height', height],
    ['keys', height === undefined ? undefined : keys],
    ['accounts', height === undefined ? undefined : accounts],
    ['transactions', height === undefined ? undefined : transactions],
  ]
  return `${fieldLines([...counts, ['verdict', problems.size === 0 ? 'sound' : 'damaged']])}${found}`
}

function rebuiltText({ height, bestHeight }: Rebuilt): string {
  const missing = `blocks ${height + 1} to ${bestHeight} are missing here, or break a rule: peers give the true ones at the next start\n`
  return `the database is new, at height ${height}\n${bestHeight > height ? missing : ''}`
}
