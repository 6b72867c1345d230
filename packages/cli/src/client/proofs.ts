/**
 * Proof files at the command line: made by a daemon, checked by nobody but this program. Owns where they are written and read, and whose word
 * is taken for which network they are of; what holds is core's to say.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { Proof } from '@kvchain/client/kvClient'
import { decodeText } from '@kvchain/client/text'
import { equalBytes, fromHex, toHex } from '@kvchain/core/bytes'
import type { ProofReport } from '@kvchain/core/proof'
import { ProofError, type ProofErrorCode } from '@kvchain/core/proofFile'
import type { Command } from 'commander'
import { CliError, usageError } from '../exits.js'
import { parseCount } from '../parsing.js'
import { print, printLine, remark } from '../terminal.js'
import { type GenesisCheck, madeProofView, reportJson, reportView } from './proofViews.js'
import { ask, type GlobalOptions, heightParam, withKey } from './session.js'
import { type KeyOptions, keyParams } from './values.js'

export interface ProveFlags {
  readonly output?: string
  readonly at?: string
  readonly history?: true
  readonly fromGenesis?: true
  /** The parser sets it to true when nobody said --no-values. */
  readonly values?: boolean
}

interface VerifyFlags {
  readonly genesis?: string
  readonly minConfirmations?: string
  readonly minWork?: string
}

/** More than the most headers take; and no more than can be read at once. */
const MAX_FILE_BYTES = 1 << 30

const PROVE_HELP = `
The file holds the entry (or shows that there is none), the path from it to the state root of a block, and the headers from there up
to the newest block, with their work. 'kvchain-cli verify FILE' checks it on any machine, with no daemon.

Without --at the proof is made at the newest height at which the answer is the present one and has as many confirmations as the network
calls settled, or as many as there are yet. docs/proofs.md says what is in the file, what it proves and what it cannot.`

const VERIFY_HELP = `
Needs no daemon and asks nobody. --network takes the name of a built-in network or a network file. Without --genesis or --network the
genesis hash is shown: the proof holds for the network with that genesis, and whether that is yours you must compare yourself.

It exits with 1 when the proof does not hold, is of another network, or has less work or fewer confirmations than asked for. Anybody
can make blocks of little work: where it matters, ask for --min-work.`

export function addProofs(program: Command): void {
  withKey(program.command('prove <KEY>'))
    .description('write a proof of what a key holds, which anybody can check with no daemon')
    .requiredOption('-o, --output <file>', 'where to; - is standard output')
    .option('--at <height>', 'what the key held at this height')
    .option('--history', 'with every version before: proves that there are no others')
    .option('--from-genesis', 'with every header from genesis on')
    .option('--no-values', 'with the digests of values alone')
    .addHelpText('after', PROVE_HELP)
    .action(async (key: string, _options: object, command: Command) => {
      const options: GlobalOptions & KeyOptions & ProveFlags = command.optsWithGlobals()
      await writeProof(key, options)
    })
  program
    .command('verify <FILE>')
    .description('check a proof file, and say what it proves and how much work stands on it; no daemon')
    .option('--genesis <hash>', 'the genesis hash of the network that you trust')
    .option('--min-confirmations <n>', 'fewer are not enough')
    .option('--min-work <hashes>', 'less work is not enough: a whole number, or such as 1e12')
    .addHelpText('after', VERIFY_HELP)
    .action(async (file: string, _options: object, command: Command) => {
      await verify(file, command.optsWithGlobals<GlobalOptions & VerifyFlags>())
    })
}

/** Has a proof made, checks it, and writes it. A file that does not hold is never written. */
export async function writeProof(key: string, options: GlobalOptions & KeyOptions & ProveFlags): Promise<void> {
  const { output, history, fromGenesis, values } = options
  if (output === undefined) throw usageError('say where the proof goes: -o FILE, or -o - for standard output')
  if (output === '-' && process.stdout.isTTY) throw usageError('a proof is no text: name a file, or pipe it somewhere')
  const { key: text, keyEncoding } = keyParams(key, options)
  const bytes = decodeText(text, keyEncoding) ?? new Uint8Array(0)
  const asked = {
    ...heightParam(options),
    ...(history ? { history } : {}),
    ...(fromGenesis ? { fromGenesis } : {}),
    ...(values === false ? { values } : {}),
  }
  const proof = await ask(options, (client) => client.prove(keyEncoding === 'utf8' ? text : bytes, asked))
  const report = await check(proof.file, undefined)
  if (!equalBytes(report.key, bytes) || report.block.height !== proof.height) {
    throw new CliError('failed', 'the daemon sent a proof of something else')
  }
  await writeFileOrPipe(output, proof.file)
  tell(proof, report, output, options)
}

function tell({ file: _, ...about }: Proof, report: ProofReport, output: string, { json }: GlobalOptions): void {
  const view = madeProofView(report, about.size, output)
  if (output === '-') remark(view.trimEnd())
  else print(json ? `${JSON.stringify({ ...about, file: output })}\n` : view)
}

async function verify(file: string, options: GlobalOptions & VerifyFlags): Promise<void> {
  const least = leastOf(options)
  const trusted = await trustedGenesis(options)
  const report = await check(await readFileOrPipe(file), trusted)
  if (report.confirmations < least.confirmations) {
    throw tooLittle(`${report.confirmations} confirmations`, `${least.confirmations}`, { ...factsOf(report) })
  }
  if (report.work < least.work)
    throw tooLittle(`${report.work} hashes of work`, `${least.work}`, { ...factsOf(report) })
  const genesis = trusted === undefined ? await builtInCheck(report) : ({ kind: 'expected' } as const)
  if (options.json) printLine(JSON.stringify(reportJson(report, genesis)))
  else print(reportView(report, genesis, Date.now()))
}

function factsOf({ confirmations, work }: ProofReport): { confirmations: number; work: string } {
  return { confirmations, work: work.toString() }
}

function tooLittle(found: string, wanted: string, data: { confirmations: number; work: string }): CliError {
  return new CliError('failed', `the proof holds, but has only ${found}: at least ${wanted} are wanted`, data)
}

function leastOf({ minConfirmations, minWork }: VerifyFlags): { confirmations: number; work: bigint } {
  return {
    confirmations: minConfirmations === undefined ? 0 : parseCount(minConfirmations, '--min-confirmations', 1),
    work: minWork === undefined ? 0n : parseWork(minWork),
  }
}

/** `1500000` or `1.5e6`. */
function parseWork(text: string): bigint {
  if (/^\d{1,80}$/.test(text)) return BigInt(text)
  const value = /^\d{1,15}(\.\d{1,15})?e\d{1,2}$/i.test(text) ? Number(text) : Number.NaN
  if (Number.isInteger(value)) return BigInt(value)
  throw usageError(`--min-work must be a whole number of hashes, such as 1500000 or 1.5e6, not '${text}'`)
}

/** The genesis that the user named, by its hash or by its network. */
async function trustedGenesis({ genesis, network }: GlobalOptions & VerifyFlags): Promise<Uint8Array | undefined> {
  if (genesis !== undefined && network !== undefined) throw usageError('of --genesis and --network, give one')
  if (network !== undefined) return genesisOf(network)
  if (genesis === undefined) return undefined
  const bytes = /^[0-9a-f]{64}$/.test(genesis) ? fromHex(genesis) : undefined
  if (bytes === undefined) throw usageError('--genesis takes 64 lower-case hex digits')
  return bytes
}

async function genesisOf(network: string): Promise<Uint8Array> {
  const { readNetwork } = await import('@kvchain/node/networkFile')
  const { makeGenesis } = await import('@kvchain/core/genesis')
  return makeGenesis(await loadSha256(), await readNetwork(network)).hash
}

/** Which network that ships with this program it is, if any. */
async function builtInCheck({ genesis }: ProofReport): Promise<GenesisCheck> {
  const { BUILT_IN_NETWORKS } = await import('@kvchain/node/networkFile')
  for (const name of BUILT_IN_NETWORKS)
    if (equalBytes(await genesisOf(name), genesis)) return { kind: 'built-in', name }
  return { kind: 'none' }
}

const WITHOUT_PREFIX: readonly ProofErrorCode[] = ['proof-magic', 'proof-version', 'proof-malformed', 'proof-genesis']

async function check(bytes: Uint8Array, expectedGenesis: Uint8Array | undefined): Promise<ProofReport> {
  const { verifyProofFile } = await import('@kvchain/core/proof')
  try {
    return verifyProofFile(await loadSha256(), bytes, expectedGenesis === undefined ? {} : { expectedGenesis })
  } catch (error) {
    if (!(error instanceof ProofError)) throw error
    const expected = expectedGenesis === undefined ? {} : { expectedGenesis: toHex(expectedGenesis) }
    const prefix = WITHOUT_PREFIX.includes(error.code) ? '' : 'the proof does not hold: '
    throw new CliError('failed', `${prefix}${error.message}`, { ...error.data, ...expected, rule: error.code }, error)
  }
}

/** The daemon's own: native, so that a long chain is checked as fast as it can be. */
async function loadSha256() {
  const { sha256 } = await import('@kvchain/node/crypto/sodium')
  return sha256
}

async function readFileOrPipe(file: string): Promise<Uint8Array> {
  try {
    if (file !== '-') return await readFile(file)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of process.stdin) {
      const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      size += bytes.length
      if (size > MAX_FILE_BYTES) throw new CliError('failed', `a proof file has at most ${MAX_FILE_BYTES} bytes`)
      chunks.push(bytes)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    if (error instanceof CliError) throw error
    throw failed(`cannot read ${file === '-' ? 'standard input' : file}`, error)
  }
}

async function writeFileOrPipe(file: string, bytes: Uint8Array): Promise<void> {
  if (file === '-') {
    print(bytes)
    return
  }
  try {
    await writeFile(file, bytes)
  } catch (error) {
    throw failed(`cannot write ${file}`, error)
  }
}

function failed(what: string, error: unknown): CliError {
  const why = error instanceof Error ? error.message : String(error)
  return new CliError('failed', `${what}: ${why}`, {}, error)
}
