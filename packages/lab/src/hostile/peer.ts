/**
 * The hostile peer as a program: `node peer.js '{"network":FILE,"targets":[MULTIADDR...],"acts":[{"behaviour":"malformed","count":N}]}'`. Says, one
 * JSON object a line, what acts.ts lists. Ends when its standard input does.
 */
import process from 'node:process'
import { readNetwork } from '@kvchain/node/networkFile'
import type { HostileOptions, Said } from './acts.js'
import { Attacker } from './attacker.js'
import { BEHAVIOURS } from './behaviours.js'

const { targets = [], acts, ...options }: HostileOptions = JSON.parse(process.argv[2] ?? '{}')
const say = (said: Said, then?: () => void) => void process.stdout.write(`${JSON.stringify(said)}\n`, then)
const attackers: Attacker[] = []
process.stdin.on('end', () => say({ end: attackers.map(({ counts }) => counts) }, () => process.exit(0))).resume()

const network = await readNetwork(options.network)
for (const { behaviour } of acts) {
  const attacker = new Attacker(network)
  attackers.push(attacker)
  await attacker.start()
  // One that is to be silent takes what connections it gets.
  await attacker.connect(targets).catch((error) => {
    if (behaviour !== 'silent') throw error
  })
}
say({ peers: attackers.map(({ host }) => ({ peerId: host.peerId, address: host.addresses()[0] ?? '' })) })
await Promise.all(
  attackers.map(async (attacker, index) => {
    const act = acts[index]
    if (act === undefined) return
    await BEHAVIOURS[act.behaviour](attacker, act, targets)
    say({ act: index, result: attacker.counts })
  }),
)
