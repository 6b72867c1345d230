/** kvchain lab: the experiments, as commands. Owns what can be asked for and its defaults; what is done is the laboratory's, and is loaded only then. */
import type { Command } from 'commander'
import { EXIT_CODE_HELP, newProgram, parseCount } from '../parsing.js'
import { runExperiment } from './run.js'

/** As the parser hands them over. */
interface Flags {
  readonly out?: string
  readonly seed?: string
  readonly quick?: true
}

interface NoobcashFlags extends Flags {
  readonly nodes?: string
  readonly capacity?: string
  readonly difficulty?: string
  readonly transactions?: string
}

const MAX_SEED = 2 ** 32 - 1
/** Every node is a process of some 100 MB. */
const MAX_NODES = 20
const MAX_LIST = 20

const NOOBCASH_HELP = `
The experiment of the Noobcash course: every node begins with 100 coins and plays its own file of payments, all at once, for every number of
nodes, capacity and difficulty. DIR of --transactions holds transactions0.txt, transactions1.txt, ..., a line 'id<n> <amount>' for each payment;
without it 100 payments a node are drawn from the seed. Shown beside what two teams published.
Difficulty is leading zeros of a hash in hexadecimal digits: 4 takes milliseconds here, 7 takes 20 seconds a block and thread.
`

/** Adds the command to kvchain. */
export function addLab(program: Command): void {
  const lab = newProgram('lab').description('experiments with real daemons on this machine, each with its report')
  program.addCommand(lab)
  withCommon(lab.command('noobcash'))
    .description('payments between nodes: throughput and block time against capacity and difficulty')
    .option('--nodes <list>', 'how many nodes, 2 to 20 (5)')
    .option('--capacity <list>', 'transactions in a block, at most (1,5,10,20)')
    .option('--difficulty <list>', 'leading zeros of a hash in hexadecimal digits, 1 to 7 (4,5)')
    .option('--transactions <dir>', "the course's files, one for each node")
    .addHelpText('after', afterText(NOOBCASH_HELP, 'two to three minutes; with --nodes 5,10 twice that and more'))
    .action(noobcash)
}

function withCommon(command: Command): Command {
  return command
    .option('--out <dir>', 'write JSON, CSV, SVG and a page of HTML there')
    .option('--seed <n>', 'what the load is drawn from (SEED, or 1)')
    .option('--quick', 'as little as shows that it works')
}

function afterText(what: string, takes: string): string {
  return `${what}
By default it takes ${takes} on two idle cores. Tables go to standard output; --out DIR writes them as CSV, with plots (SVG), all
of it as JSON, and index.html. Ctrl-C stops the daemons in good order and writes nothing; a second one ends at once.

${EXIT_CODE_HELP}`
}

async function noobcash(flags: NoobcashFlags): Promise<void> {
  const quick = flags.quick === true
  const options = {
    nodes: counts(flags.nodes ?? (quick ? '2' : '5'), '--nodes', 2, MAX_NODES),
    capacities: counts(flags.capacity ?? (quick ? '2' : '1,5,10,20'), '--capacity', 1, 100_000),
    difficulties: counts(flags.difficulty ?? (quick ? '2' : '4,5'), '--difficulty', 1, 7),
    lines: quick ? 5 : 100,
    ...(flags.transactions === undefined ? {} : { transactions: flags.transactions }),
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { noobcash } = await import('@kvchain/lab/experiments/noobcash')
    return noobcash(options, bench)
  })
}

function seedOf({ seed = process.env.SEED ?? '1' }: Flags): number {
  return parseCount(seed, '--seed', 0, MAX_SEED)
}

/** Whole numbers with commas between. */
function counts(text: string, what: string, min: number, max: number): number[] {
  return text.split(',', MAX_LIST).map((part) => parseCount(part.trim(), what, min, max))
}
