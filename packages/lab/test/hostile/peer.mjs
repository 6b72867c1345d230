/**
 * The hostile peer as a program: `node peer.mjs '{"behaviour":"malformed","network":FILE,"targets":[MULTIADDR...],"count":N}'`. Says, one JSON object
 * a line: who it is, when it has begun, and what came of it. Ends when its standard input does.
 */
import process from 'node:process'
import { readNetwork } from '@kvchain/node/networkFile'
import { Attacker } from './attacker.mjs'
import { BEHAVIOURS, sybils } from './behaviours.mjs'

const options = { count: 1, targets: [], ...JSON.parse(process.argv[2] ?? '{}') }
const say = (said) => process.stdout.write(`${JSON.stringify(said)}\n`)
process.stdin.on('end', () => process.exit(0)).resume()

const network = await readNetwork(options.network)
if (options.behaviour === 'sybils') {
  const all = await sybils(network, options)
  say({ peers: all.map(({ host }) => ({ peerId: host.peerId, address: host.addresses()[0] })) })
} else {
  const attacker = new Attacker(network)
  await attacker.start()
  await attacker.connect(options.targets)
  say({ peers: [{ peerId: attacker.host.peerId, address: attacker.host.addresses()[0] }] })
  const result = await BEHAVIOURS[options.behaviour](attacker, options)
  say({ result })
}
