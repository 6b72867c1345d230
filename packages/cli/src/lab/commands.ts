/** kvchain lab: the experiments, as commands. Owns what can be asked for and its defaults; what is done is the laboratory's, and is loaded only then. */
import type { Command } from 'commander'
import { usageError } from '../exits.js'
import { EXIT_CODE_HELP, newProgram, parseCount, parseShare } from '../parsing.js'
import { runExperiment } from './run.js'

/** As the parser hands them over. */
interface Flags {
  readonly out?: string
  readonly seed?: string
  readonly quick?: true
}

interface SpeedFlags extends Flags {
  readonly difficulty?: string
  readonly length?: string
  readonly keys?: string
  readonly size?: string
  readonly nodes?: string
}

interface AttackFlags extends Flags {
  readonly share?: string
  readonly trials?: string
  readonly confirmations?: string
  readonly patience?: string
  readonly simulated?: true
}

interface ScaleFlags extends Flags {
  readonly nodes?: string
  readonly seconds?: string
  readonly minutes?: string
  readonly rate?: string
  readonly simulated?: true
}

interface SelfishFlags extends Flags {
  readonly share?: string
  readonly blocks?: string
}

interface StaleFlags extends Flags {
  readonly delay?: string
  readonly miners?: string
  readonly blocks?: string
}

interface FaultsFlags extends Flags {
  readonly nodes?: string
  readonly phase?: string
  readonly faults?: string
  readonly behaviours?: string
  readonly byzantine?: string
  readonly minutes?: string
  readonly share?: string
  readonly simulated?: true
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
/** Of those only the writers work hard. */
const MAX_SCALE = 30
const MAX_LIST = 20

const NOOBCASH_HELP = `
The experiment of the Noobcash course: every node begins with 100 coins and plays its own file of payments, all at once, for every number of
nodes, capacity and difficulty. DIR of --transactions holds transactions0.txt, transactions1.txt, ..., a line 'id<n> <amount>' for each payment;
without it 100 payments a node are drawn from the seed. Shown beside what two teams published.
Difficulty is leading zeros of a hash in hexadecimal digits: 4 takes milliseconds here, 7 takes 20 seconds a block and thread.
`

const SPEED_HELP = `
Times put and get from best to worst case: against difficulty, length of the chain, number of keys and size of the value, on one daemon; then
the workloads A, B, C, D and F of YCSB (zipfian keys, values of 1,000 bytes, 8 clients) on clusters of 1 and 3 daemons.
`

const ATTACK_HELP = `
The owner of a key sells it on the public chain, waits until the buyer has his confirmations, and then shows a longer branch that he mined in
secret, where the same versions say otherwise. Three daemons: an honest miner, an honest one that does not mine, the attacker. Reported are successes beside
Rosenfeld's probability, the depth of the reorg, when the alarm rang, and what the clients that watched the key were told.
`

const ATTACK_SIMULATED_HELP = `
With --simulated: whole nodes in one process and in virtual time, many races for each share and each number of confirmations, beside the exact
probability. The same seed gives the same files, to the byte. --confirmations is a list then, --trials the races of each, --patience counts blocks
that the attacker may be behind. About ten minutes by default.
`

const SCALE_HELP = `
More and more nodes: writes a second, how fast a block reaches half of them and all, bytes sent by a node and for each write. Real ones are daemons on this machine,
each linked with each. With --simulated they are whole nodes in virtual time over lines of 40 to 100 ms, 10,30,100,300,1000 of them by default, which takes
some minutes; the same seed gives the same files, to the byte.
`

const SELFISH_HELP = `
Simulated: a miner who keeps his blocks to himself while he is ahead (SM1), against an honest one, both whole nodes in virtual time. Reported is his part of
the main chain for each share of the hash power, beside the formula of Eyal and Sirer.
`

const STALE_HELP = `
Simulated: whole nodes in one process and in virtual time mine empty blocks over lines of one delay, from a tenth of a per cent of the block interval
on. Reported are blocks that did not stay on the main chain, beside the share that a simple model expects.
`

const FAULTS_HELP = `
Kills daemons (kill -9) and starts them again, or silences them for a time (SIGSTOP): one, all but one, and a miner in the middle of a block, with
writers at every daemon. Byzantine: hostile peers take the place of one, half and all but one of them; all at once they send noise (malformed), parentless
blocks without work (cheap) and with it (orphans), blocks whose transaction is another one when asked for (lying) or never comes (stalling), two blocks on one parent (equivocating), valid
transactions for nothing (spam). Reported are writes before, during and after, the time to recover, writes lost, which must be none, and who was banned.

With --simulated: whole nodes in virtual time, of which some are byzantine: they withhold, equivocate, lie, forge roots and timestamps, censor, mine selfishly.
What must hold is looked at all the time, and fails the experiment when it does not. The same seed gives the same files, to the byte.
`

/** Adds the command to kvchain. */
export function addLab(program: Command): void {
  const lab = newProgram('lab').description(
    'experiments, with real daemons on this machine or simulated, each with its report',
  )
  program.addCommand(lab)
  withCommon(lab.command('noobcash'))
    .description('payments between nodes: throughput and block time against capacity and difficulty')
    .option('--nodes <list>', 'how many nodes, 2 to 20 (5)')
    .option('--capacity <list>', 'transactions in a block, at most (1,5,10,20)')
    .option('--difficulty <list>', 'leading zeros of a hash in hexadecimal digits, 1 to 7 (4,5)')
    .option('--transactions <dir>', "the course's files, one for each node")
    .addHelpText('after', afterText(NOOBCASH_HELP, 'two to three minutes; with --nodes 5,10 twice that and more'))
    .action(noobcash)
  withCommon(lab.command('speed'))
    .description('put and get: best and worst case, against what might slow them down; YCSB')
    .option('--difficulty <list>', 'leading zeros of a hash in hexadecimal digits, 1 to 7 (3,4,5,6)')
    .option('--length <list>', 'blocks, rising (100,1000,2000)')
    .option('--keys <list>', 'keys, rising (1000,10000,30000)')
    .option('--size <list>', 'bytes of a value, up to 65536 (10,1000,10000,65536)')
    .option('--nodes <list>', 'daemons for YCSB, 1 to 20 (1,3)')
    .addHelpText('after', afterText(SPEED_HELP, 'two to three minutes'))
    .action(speed)
  withCommon(lab.command('attack51'))
    .description('an attacker with a share of the hash power rewrites an older version of a key')
    .option('--share <list>', 'of the whole hash power, 0.1 to 0.9 (0.3,0.6)')
    .option('--trials <n>', 'for each share (3; simulated 200)')
    .option('--confirmations <n>', 'that the buyer waits for (3; simulated 1 to 10)')
    .option('--patience <n>', 'until the attacker gives up: seconds (15); simulated: blocks behind (30)')
    .option('--simulated', 'in virtual time, against the exact probabilities')
    .addHelpText('after', afterText(`${ATTACK_HELP}${ATTACK_SIMULATED_HELP}`, 'two to three minutes'))
    .action((flags: AttackFlags) => (flags.simulated ? doubleSpend(flags) : attack51(flags)))
  withCommon(lab.command('scale'))
    .description('more and more nodes: throughput, propagation, bytes')
    .option('--nodes <list>', 'real daemons, 2 to 30 (3,5,10,20); simulated, 2 to 1000 (10,30,100,300,1000)')
    .option('--seconds <n>', 'of load on real daemons (8)')
    .option('--minutes <n>', 'of load on simulated nodes, in virtual time (10)')
    .option('--rate <n>', 'writes a minute on simulated nodes (60)')
    .option('--simulated', 'whole nodes in virtual time')
    .addHelpText('after', afterText(SCALE_HELP, 'two minutes'))
    .action(scale)
  withCommon(lab.command('selfish'))
    .description('simulated: what a selfish miner gains, against the formula')
    .option('--share <list>', 'of the whole hash power, 0.1 to 0.9 (0.1,0.2,0.25,0.3,0.333,0.35,0.4,0.45)')
    .option('--blocks <n>', 'of the main chain, for each share (100000)')
    .addHelpText('after', afterText(SELFISH_HELP, 'ten minutes'))
    .action(selfishMining)
  withCommon(lab.command('stale'))
    .description('simulated: blocks that are lost to delay, against a model')
    .option('--delay <list>', 'parts of the block interval (0.01,0.05,0.1,0.2,0.25,0.5)')
    .option('--miners <n>', 'of equal power, 2 to 30 (8)')
    .option('--blocks <n>', 'for each delay (3000)')
    .addHelpText('after', afterText(STALE_HELP, 'two minutes'))
    .action(staleBlocks)
  withCommon(lab.command('faults'))
    .description('daemons that crash, fall silent or are byzantine, under load: what goes on, what is lost')
    .option('--nodes <n>', 'daemons, 3 to 20 (4); simulated, 2 to 100 (8)')
    .option('--phase <seconds>', 'before, during and after each fault (6)')
    .option('--faults <list>', 'real daemons: which faults (crash,silence,byzantine)')
    .option('--behaviours <list>', 'real daemons: byzantine behaviours, a case for each alone (all at once)')
    .option('--byzantine <list>', 'how many of the nodes are byzantine, a case for each (1, half, all but one)')
    .option('--simulated', 'byzantine nodes, in virtual time')
    .option('--share <share>', 'simulated: their part of the hash power, all together (0.3)')
    .option('--minutes <n>', 'simulated: of load, in virtual time (10)')
    .addHelpText('after', afterText(FAULTS_HELP, 'about five minutes'))
    .action((flags: FaultsFlags) => (flags.simulated ? byzantineFaults(flags) : faults(flags)))
}

function withCommon(command: Command): Command {
  return command
    .option('--out <dir>', 'write JSON, CSV, SVG and a page of HTML there')
    .option('--seed <n>', 'what the load is drawn from (SEED, or 1)')
    .option('--quick', 'as little as shows that it works')
}

function afterText(what: string, takes: string): string {
  return `${what}
By default it takes ${takes} on two cores, longer when they are busy. Tables go to standard output; --out DIR writes them as CSV, with plots (SVG), all
of it as JSON, and index.html. Ctrl-C ends it in good order and writes nothing; a second one ends at once.

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

async function speed(flags: SpeedFlags): Promise<void> {
  const quick = flags.quick === true
  const options = {
    difficulties: counts(flags.difficulty ?? (quick ? '2,3' : '3,4,5,6'), '--difficulty', 1, 7),
    lengths: rising(counts(flags.length ?? (quick ? '5,10' : '100,1000,2000'), '--length', 1, 1_000_000)),
    keys: rising(counts(flags.keys ?? (quick ? '10,20' : '1000,10000,30000'), '--keys', 1, 10_000_000)),
    sizes: counts(flags.size ?? (quick ? '10,65536' : '10,1000,10000,65536'), '--size', 1, 65_536),
    nodes: counts(flags.nodes ?? (quick ? '2' : '1,3'), '--nodes', 1, MAX_NODES),
    calls: quick ? 5 : 100,
    workloads: ['A', 'B', 'C', 'F', 'D'] as const,
    records: quick ? 20 : 1_000,
    operations: quick ? 20 : 1_000,
    valueBytes: 1_000,
    clients: 8,
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { speed } = await import('@kvchain/lab/experiments/speed')
    return speed(options, bench)
  })
}

async function attack51(flags: AttackFlags): Promise<void> {
  const quick = flags.quick === true
  const shares = (flags.share ?? (quick ? '0.8' : '0.3,0.6')).split(',', MAX_LIST)
  const options = {
    shares: shares.map((part) => parseAttackShare(part.trim())),
    trials: parseCount(flags.trials ?? (quick ? '1' : '3'), '--trials', 1, 1_000),
    confirmations: parseCount(flags.confirmations ?? (quick ? '2' : '3'), '--confirmations', 1, 100),
    patienceSeconds: parseCount(flags.patience ?? '15', '--patience', 1, 3_600),
    blockSeconds: quick ? 0.25 : 0.5,
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { attack51 } = await import('@kvchain/lab/experiments/attack51')
    return attack51(options, bench)
  })
}

async function doubleSpend(flags: AttackFlags): Promise<void> {
  const quick = flags.quick === true
  const shares = (flags.share ?? (quick ? '0.3' : '0.1,0.2,0.3,0.4,0.5,0.6')).split(',', MAX_LIST)
  const options = {
    shares: shares.map((part) => parseAttackShare(part.trim())),
    confirmations: counts(flags.confirmations ?? (quick ? '1,2' : '1,2,3,4,5,6,7,8,9,10'), '--confirmations', 1, 100),
    races: parseCount(flags.trials ?? (quick ? '5' : '200'), '--trials', 1, 100_000),
    patience: parseCount(flags.patience ?? '30', '--patience', 1, 1_000),
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { doubleSpend } = await import('@kvchain/lab/experiments/simulated/doubleSpend')
    return doubleSpend(options, bench)
  })
}

async function scale(flags: ScaleFlags): Promise<void> {
  const quick = flags.quick === true
  const isSimulated = flags.simulated === true
  const usual = isSimulated ? (quick ? '3,6' : '10,30,100,300,1000') : quick ? '2' : '3,5,10,20'
  const nodes = rising(counts(flags.nodes ?? usual, '--nodes', 2, isSimulated ? 1_000 : MAX_SCALE))
  const seconds = parseCount(flags.seconds ?? (quick ? '2' : '8'), '--seconds', 1, 3_600)
  const minutes = parseCount(flags.minutes ?? (quick ? '2' : '10'), '--minutes', 1, 1_440)
  const writesPerMinute = parseCount(flags.rate ?? '60', '--rate', 1, 100_000)
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { scale, simulatedScale } = await import('@kvchain/lab/experiments/scale')
    return isSimulated ? simulatedScale({ nodes, minutes, writesPerMinute }, bench) : scale({ nodes, seconds }, bench)
  })
}

async function selfishMining(flags: SelfishFlags): Promise<void> {
  const quick = flags.quick === true
  const shares = (flags.share ?? (quick ? '0.2,0.4' : '0.1,0.2,0.25,0.3,0.333,0.35,0.4,0.45')).split(',', MAX_LIST)
  const options = {
    shares: shares.map((part) => parseAttackShare(part.trim())),
    blocks: parseCount(flags.blocks ?? (quick ? '200' : '100000'), '--blocks', 50, 10_000_000),
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { selfish } = await import('@kvchain/lab/experiments/simulated/selfish')
    return selfish(options, bench)
  })
}

async function staleBlocks(flags: StaleFlags): Promise<void> {
  const quick = flags.quick === true
  const options = {
    delays: fractions(flags.delay ?? (quick ? '0.1,0.25' : '0.01,0.05,0.1,0.2,0.25,0.5'), '--delay'),
    miners: parseCount(flags.miners ?? (quick ? '3' : '8'), '--miners', 2, 30),
    blocks: parseCount(flags.blocks ?? (quick ? '100' : '3000'), '--blocks', 50, 1_000_000),
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { stale } = await import('@kvchain/lab/experiments/simulated/stale')
    return stale(options, bench)
  })
}

async function faults(flags: FaultsFlags): Promise<void> {
  const quick = flags.quick === true
  const nodes = parseCount(flags.nodes ?? (quick ? '3' : '4'), '--nodes', 3, MAX_NODES)
  const options = {
    nodes,
    phaseSeconds: parseCount(flags.phase ?? (quick ? '1' : '6'), '--phase', 1, 3_600),
    kinds: words(flags.faults ?? 'crash,silence,byzantine'),
    behaviours: words(flags.behaviours ?? ''),
    byzantine: byzantineCounts(flags, nodes),
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { faults } = await import('@kvchain/lab/experiments/faults')
    return faults(options, bench)
  })
}

async function byzantineFaults(flags: FaultsFlags): Promise<void> {
  const quick = flags.quick === true
  const nodes = parseCount(flags.nodes ?? (quick ? '4' : '8'), '--nodes', 2, 100)
  const options = {
    nodes,
    byzantine: byzantineCounts(flags, nodes),
    share: parseShare(flags.share ?? '0.3', '--share'),
    minutes: parseCount(flags.minutes ?? (quick ? '1' : '10'), '--minutes', 1, 1_440),
  }
  await runExperiment(seedOf(flags), flags.out, async (bench) => {
    const { byzantineFaults } = await import('@kvchain/lab/experiments/simulated/byzantine')
    return byzantineFaults(options, bench)
  })
}

/** One, half and all but one of the nodes by default; one when it is to be quick. */
function byzantineCounts({ byzantine, quick }: FaultsFlags, nodes: number): number[] {
  const usual = quick ? '1' : `1,${Math.ceil(nodes / 2)},${nodes - 1}`
  return rising(counts(byzantine ?? usual, '--byzantine', 1, nodes - 1))
}

/** With less, or with more, one of the two hardly finds a block. */
function parseAttackShare(text: string): number {
  const share = parseShare(text, '--share')
  if (share >= 0.1 && share <= 0.9) return share
  throw usageError(`--share must be from 0.1 to 0.9, not '${text}'`)
}

function rising(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b)
}

function seedOf({ seed = process.env.SEED ?? '1' }: Flags): number {
  return parseCount(seed, '--seed', 0, MAX_SEED)
}

/** Parts of something, above 0 and up to 1, with commas between. */
function fractions(text: string, what: string): number[] {
  return text.split(',', MAX_LIST).map((part) => parseShare(part.trim(), what))
}

/** Words with commas between; none of an empty text. */
function words(text: string): string[] {
  return text === '' ? [] : text.split(',', MAX_LIST).map((part) => part.trim())
}

/** Whole numbers with commas between. */
function counts(text: string, what: string, min: number, max: number): number[] {
  return text.split(',', MAX_LIST).map((part) => parseCount(part.trim(), what, min, max))
}
