/**
 * A failing scenario is made shorter. Plan: a check objects to something that is no mistake, such as a second write or a block of a byzantine node; what is left of a
 * scenario is what that takes, it fails as the whole did, and the command that is printed means just this.
 */
import { equalBytes } from '@kvchain/core/bytes'
import { type Cut, cutScenario, parseCut } from '@kvchain/lab/sim/cut'
import { broken } from '@kvchain/lab/sim/replay'
import { drawScenario, playScenario } from '@kvchain/lab/sim/scenario'
import { shorten } from '@kvchain/lab/sim/shorten'
import type { World } from '@kvchain/lab/sim/world'
import { expect, test } from 'vitest'

/** Seeds: of honest nodes only, and of some with a censor among them. */
const PLAIN = 5
const CENSOR = 22

function secondWrite(world: World): void {
  if (world.accepted.size >= 2) throw broken(`${world.accepted.size} writes were accepted`)
}

function censoredBlock(world: World): void {
  const censor = world.nodes.find(({ isHonest }) => !isHonest)?.options.account.publicKey
  for (let at = world.node(0).tip; at.parent !== undefined; at = at.parent) {
    if (censor !== undefined && equalBytes(at.header.miner, censor))
      throw broken(`block ${at.header.height} is its own`)
  }
}

async function shortest(seed: number, atRest: (world: World) => void): Promise<Required<Cut>> {
  const lines: string[] = []
  const cut = await shorten(() => drawScenario(seed), { atRest, print: (line) => lines.push(line) })
  expect(lines.length).toBeGreaterThan(3)
  const scenario = cutScenario(drawScenario(seed), cut)
  await expect(playScenario(scenario, atRest)).rejects.toThrow(scenario.command)
  const { nodes, faults, writes, trouble } = cut
  if (!nodes || !faults || !writes || !trouble) expect.fail('all of them are said')
  return { nodes, faults, writes, trouble }
}

test('to two writes at one node', async () => {
  const cut = await shortest(PLAIN, secondWrite)
  expect(cut.faults).toEqual([])
  expect(cut.writes).toHaveLength(2)
  expect(cut.nodes).toHaveLength(1)
  expect(await shortest(PLAIN, secondWrite)).toEqual(cut)
})

test('to a byzantine node, and one for whom it matters', async () => {
  const cut = await shortest(CENSOR, censoredBlock)
  expect(cut).toMatchObject({ faults: [], writes: [] })
  expect(cut.nodes).toHaveLength(2)
})

test('not at all when nothing fails, or without a miner that is honest', async () => {
  await expect(shorten(() => drawScenario(PLAIN), { print: () => {} })).rejects.toThrow('does not fail')
  expect(() => cutScenario(drawScenario(PLAIN), { nodes: [] })).toThrow('needs an honest node that mines')
})

test('a part is what its command says', () => {
  const whole = drawScenario(CENSOR)
  const cut = { nodes: [0, 2, whole.options.nodes.length - 1], faults: [], writes: [1, 2, 5], trouble: 20_000 }
  const { options, faults, command } = cutScenario(whole, cut)
  expect(options.nodes.map(({ byzantine }) => byzantine?.name)).toEqual([undefined, undefined, 'censor'])
  expect(options.nodes.reduce((sum, { hashShare = 0 }) => sum + hashShare, 0)).toBeCloseTo(1)
  expect(options.nodes[2]?.hashShare).toBe(whole.options.nodes.at(-1)?.hashShare)
  expect(faults).toEqual([])
  const [, ...pairs] = command.split(' --').map((pair) => pair.split(' '))
  expect(parseCut(Object.fromEntries(pairs))).toEqual(cut)
  for (const wrong of [{ nodes: '1,x' }, { faults: '-1' }, { writes: '1.5' }, { trouble: '0' }]) {
    expect(() => parseCut(wrong)).toThrow(expect.objectContaining({ code: 'lab-options' }))
  }
})

test('nodes, faults and writes of what is left are those that were drawn', () => {
  const whole = drawScenario(CENSOR)
  const same = cutScenario(whole, { nodes: whole.options.nodes.map((_, i) => i) })
  expect({ ...same, options: { ...same.options, nodes: [] }, command: '' }).toEqual({
    ...whole,
    options: { ...whole.options, nodes: [] },
    command: '',
  })
  expect(same.options.nodes.map(({ hashShare }) => hashShare)).toEqual(
    whole.options.nodes.map(({ hashShare }) => hashShare),
  )
  const fewer = cutScenario(whole, { nodes: [1, 0] })
  const nodeOf = (node: number) => (node === 1 ? 0 : 1)
  expect(fewer.writes).toEqual(
    whole.writes.filter(({ node }) => node < 2).map((write) => ({ ...write, node: nodeOf(write.node) })),
  )
  for (const fault of fewer.faults) {
    if (fault.kind === 'crash' || fault.kind === 'stop') expect(fault.node).toBeLessThan(2)
    if (fault.kind === 'partition') expect(fault.groups.flat().sort()).toEqual([0, 1])
  }
})
