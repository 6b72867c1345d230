/** kvchain lab: the experiments, as commands. Owns what is said of each; what can be asked for is in options.ts, what is done is the laboratory's, and is loaded only then. */
import type { Bench, Report } from '@kvchain/lab/experiments/report'
import type { Command } from 'commander'
import { EXIT_CODE_HELP, newProgram } from '../parsing.js'
import {
  type AttackFlags,
  attack51Options,
  byzantineFaultsOptions,
  doubleSpendOptions,
  type FaultsFlags,
  type Flags,
  faultsOptions,
  noobcashOptions,
  type ScaleFlags,
  scaleOptions,
  seedOf,
  selfishOptions,
  simulatedScaleOptions,
  speedOptions,
  staleOptions,
} from './options.js'
import { runExperiment } from './run.js'

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

const noobcash = running(noobcashOptions, async () => (await import('@kvchain/lab/experiments/noobcash')).noobcash)
const speed = running(speedOptions, async () => (await import('@kvchain/lab/experiments/speed')).speed)
const attack51 = running(attack51Options, async () => (await import('@kvchain/lab/experiments/attack51')).attack51)
const doubleSpend = running(
  doubleSpendOptions,
  async () => (await import('@kvchain/lab/experiments/simulated/doubleSpend')).doubleSpend,
)
const scale = running(scaleOptions, async () => (await import('@kvchain/lab/experiments/scale')).scale)
const simulatedScale = running(
  simulatedScaleOptions,
  async () => (await import('@kvchain/lab/experiments/scale')).simulatedScale,
)
const selfish = running(
  selfishOptions,
  async () => (await import('@kvchain/lab/experiments/simulated/selfish')).selfish,
)
const stale = running(staleOptions, async () => (await import('@kvchain/lab/experiments/simulated/stale')).stale)
const faults = running(faultsOptions, async () => (await import('@kvchain/lab/experiments/faults')).faults)
const byzantineFaults = running(
  byzantineFaultsOptions,
  async () => (await import('@kvchain/lab/experiments/simulated/byzantine')).byzantineFaults,
)

/** The action of a command: reads its options, then loads the experiment, and runs it. */
function running<F extends Flags, O>(
  optionsOf: (flags: F) => O,
  load: () => Promise<(options: O, bench: Bench) => Promise<Report>>,
): (flags: F) => Promise<void> {
  return async (flags) => {
    const options = optionsOf(flags)
    await runExperiment(seedOf(flags), flags.out, async (bench) => (await load())(options, bench))
  }
}

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
    .action((flags: ScaleFlags) => (flags.simulated ? simulatedScale(flags) : scale(flags)))
  withCommon(lab.command('selfish'))
    .description('simulated: what a selfish miner gains, against the formula')
    .option('--share <list>', 'of the whole hash power, 0.1 to 0.9 (0.1,0.2,0.25,0.3,0.333,0.35,0.4,0.45)')
    .option('--blocks <n>', 'of the main chain, for each share (100000)')
    .addHelpText('after', afterText(SELFISH_HELP, 'ten minutes'))
    .action(selfish)
  withCommon(lab.command('stale'))
    .description('simulated: blocks that are lost to delay, against a model')
    .option('--delay <list>', 'parts of the block interval (0.01,0.05,0.1,0.2,0.25,0.5)')
    .option('--miners <n>', 'of equal power, 2 to 30 (8)')
    .option('--blocks <n>', 'for each delay (3000)')
    .addHelpText('after', afterText(STALE_HELP, 'two minutes'))
    .action(stale)
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
