/**
 * What the experiments make of files and figures; the daemons' part is in e2e/lab.test.ts.
 * 1. Files of payments: the course's form, ids of two digits, and one clear error for everything else.
 * 2. Drawn payments: by the seed alone.
 * 3. The Noobcash report: measured figures beside the published ones of the same case.
 * 4. Files of a report: every table and plot, and a page that shows no markup of others.
 * 5. YCSB's steps: their shares, the zipfian draw, records that are there.
 * 6. Timings, and the speed report.
 * 7. A process at a slower pace; the report of the attack.
 * 8. Which daemons a fault hits.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Random } from '@kvchain/lab/difficulty/random'
import { attackReport } from '@kvchain/lab/experiments/attack51'
import { HOSTILE_NAMES } from '@kvchain/lab/experiments/faultsByzantine'
import { FAULT_KINDS, faultsFor } from '@kvchain/lab/experiments/faultsRun'
import { drawPayments, parsePayments, readPayments } from '@kvchain/lab/experiments/noobcashFiles'
import { noobcashReport } from '@kvchain/lab/experiments/noobcashReport'
import type { NoobcashResult } from '@kvchain/lab/experiments/noobcashRun'
import { Pace, send } from '@kvchain/lab/experiments/pace'
import { reportText, writeReport } from '@kvchain/lab/experiments/report'
import { speedReport } from '@kvchain/lab/experiments/speedReport'
import { sample, summarize } from '@kvchain/lab/experiments/timings'
import { Steps, WORKLOADS, type Workload, Zipf } from '@kvchain/lab/experiments/workloads'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let folder: TempDir
beforeAll(async () => {
  folder = await TempDir.make()
})
afterAll(() => folder.remove())

describe('payments', () => {
  test('lines of the course, two digits too; empty lines and line ends of other systems are nothing', () => {
    expect(parsePayments('id1 7\r\nid10 3\n\n  id0   12  \n', 'f', 11)).toEqual([
      { to: 1, amount: 7 },
      { to: 10, amount: 3 },
      { to: 0, amount: 12 },
    ])
    expect(parsePayments('', 'f', 2)).toEqual([])
  })

  test.each([
    ['id1 7\n1 7', 'transactions0.txt, line 2: not \'id<n> <amount>\' but "1 7"'],
    ['id1', 'transactions0.txt, line 1: not \'id<n> <amount>\' but "id1"'],
    ['id1 -3', 'transactions0.txt, line 1: not \'id<n> <amount>\' but "id1 -3"'],
    ['id1 7 8', 'transactions0.txt, line 1: not \'id<n> <amount>\' but "id1 7 8"'],
    ['id1 1.5', 'transactions0.txt, line 1: not \'id<n> <amount>\' but "id1 1.5"'],
    ['id1 7\n\nid2 1', 'transactions0.txt, line 3: there is no node 2: ids are 0 to 1'],
    ['id1 0', 'transactions0.txt, line 1: an amount is at least 1'],
  ])('%j is refused with file and line', (text, message) => {
    expect(() => parsePayments(text, 'transactions0.txt', 2)).toThrow(
      expect.objectContaining({ code: 'lab-input', message }),
    )
  })

  test('a file for each node, or an error that names the missing one', async () => {
    await writeFile(join(folder.path, 'transactions0.txt'), 'id1 1\n')
    await writeFile(join(folder.path, 'transactions1.txt'), 'id0 2\n')
    expect(await readPayments(folder.path, 2)).toEqual([[{ to: 1, amount: 1 }], [{ to: 0, amount: 2 }]])
    await expect(readPayments(folder.path, 3)).rejects.toMatchObject({
      code: 'lab-input',
      message: `${join(folder.path, 'transactions2.txt')} cannot be read`,
    })
  })

  test('the seed alone says what is drawn; nobody pays himself', () => {
    const drawn = drawPayments(7, 11, 100)
    expect(drawPayments(7, 11, 100)).toEqual(drawn)
    expect(drawPayments(8, 11, 100)).not.toEqual(drawn)
    for (const [node, payments] of drawn.entries()) {
      expect(payments).toHaveLength(100)
      expect(new Set(payments.map(({ to }) => to))).toEqual(
        new Set(Array.from({ length: 11 }, (_, i) => i).filter((i) => i !== node)),
      )
      expect(payments.every(({ amount }) => amount >= 1 && amount <= 10)).toBe(true)
    }
  })
})

const RESULT: NoobcashResult = {
  nodes: 5,
  capacity: 10,
  difficulty: 4,
  lines: 500,
  confirmed: 480,
  refused: 15,
  failed: 5,
  seconds: 24,
  blocks: 60,
  reorgs: 3,
}

describe('noobcash report', () => {
  const report = noobcashReport([RESULT, { ...RESULT, nodes: 7 }], 65_536_000, { seed: 1 })

  test('rates, and the work of a block at the measured hash rate', () => {
    const [measured] = report.tables
    const names = measured?.columns.map(({ name }) => name) ?? []
    expect(Object.fromEntries(names.map((name, i) => [name, measured?.rows[0]?.[i]]))).toEqual({
      nodes: 5,
      capacity: 10,
      difficulty: 4,
      'tx/s': 20,
      's a block': 0.4,
      'tx a block': 485 / 60,
      'went through': 480,
      refused: 15,
      failed: 5,
      reorgs: 3,
      'hashes a block': 65_536,
      's of one thread': 0.001,
    })
  })

  test('only cases that were published stand beside them', () => {
    expect(report.tables[1]?.rows).toEqual([
      ['Spanos', 5, 10, 4, 1.03, 20, 9.72, 0.4],
      ['Antoniadis', 5, 10, 4, 2.85, 20, 3.5, 0.4],
    ])
  })

  test('plots name every series', () => {
    expect(report.plots.map(({ name }) => name)).toEqual([
      'noobcash-5-throughput.svg',
      'noobcash-5-block-time.svg',
      'noobcash-7-throughput.svg',
      'noobcash-7-block-time.svg',
      'noobcash-nodes.svg',
    ])
    expect(report.plots[0]?.svg).toContain('Spanos, difficulty 5')
    expect(report.plots[0]?.svg).toContain('kvchain, difficulty 4')
    expect(report.plots[2]?.svg).not.toContain('Spanos')
  })

  test('files', async () => {
    const out = join(folder.path, 'new', 'report')
    const odd = { ...report, title: '<b> & "c"' }
    const files = await writeReport(odd, out)
    expect(files).toEqual([
      'noobcash.json',
      'noobcash.csv',
      'noobcash-published.csv',
      ...report.plots.map(({ name }) => name),
      'index.html',
    ])
    const [page, json, csv] = await Promise.all(
      ['index.html', 'noobcash.json', 'noobcash.csv'].map((name) => readFile(join(out, name), 'utf8')),
    )
    expect(page).toContain('<h1>&lt;b&gt; &amp; &quot;c&quot;</h1>')
    expect(page).not.toContain('<b>')
    for (const { svg } of report.plots) expect(page).toContain(svg)
    expect(JSON.parse(json ?? '')).toMatchObject({ experiment: 'noobcash', settings: { seed: 1 } })
    expect(csv?.split('\n')[1]).toBe('5,10,4,20,0.4,8.08333,480,15,5,3,65536,0.001')
    expect(reportText(report)).toContain('Published, and the same case here')
  })

  test('a folder that cannot be made is one clear error', async () => {
    await writeFile(join(folder.path, 'file'), '')
    await expect(writeReport(report, join(folder.path, 'file', 'sub'))).rejects.toMatchObject({ code: 'lab-output' })
  })
})

describe('workloads', () => {
  const COUNT = 20_000

  test('the zipfian draw has the weights of its definition', () => {
    const [zipf, random, n] = [new Zipf(100), new Random(1), 50]
    const seen = Array.from({ length: n }, () => 0)
    for (let i = 0; i < COUNT; i++) {
      const drawn = zipf.draw(random, n)
      seen[drawn] = (seen[drawn] ?? 0) + 1
    }
    expect(seen.reduce((sum, count) => sum + count, 0)).toBe(COUNT)
    const weights = seen.map((_, rank) => 1 / (rank + 1) ** 0.99)
    const sum = weights.reduce((all, weight) => all + weight, 0)
    for (const [rank, weight] of weights.entries()) {
      // Five deviations of a binomial.
      const p = weight / sum
      expect(Math.abs((seen[rank] ?? 0) - COUNT * p)).toBeLessThan(5 * Math.sqrt(COUNT * p * (1 - p)))
    }
  })

  test.each([
    ['A', { read: 0.5, update: 0.5 }],
    ['B', { read: 0.95, update: 0.05 }],
    ['C', { read: 1 }],
    ['D', { read: 0.95, insert: 0.05 }],
    ['F', { read: 0.5, modify: 0.5 }],
  ] satisfies [Workload, Record<string, number>][])('%s has its shares, of records that are there', (name, shares) => {
    const steps = new Steps(name, 100, COUNT, new Random(3))
    const kinds: Record<string, number> = {}
    let records = 100
    for (let i = 0; i < COUNT; i++) {
      const { kind, record } = steps.next()
      kinds[kind] = (kinds[kind] ?? 0) + 1
      if (kind === 'insert') expect(record).toBe(records++)
      else expect(record >= 0 && record < records).toBe(true)
    }
    expect(Object.keys(kinds).sort()).toEqual(Object.keys(shares).sort())
    for (const [kind, share] of Object.entries(shares)) {
      expect(Math.abs((kinds[kind] ?? 0) / COUNT - share)).toBeLessThan(0.02)
    }
  })

  test('D reads what is newest most often', () => {
    const steps = new Steps('D', 100, COUNT, new Random(4))
    let newest = 99
    let hits = 0
    for (let i = 0; i < COUNT; i++) {
      const { kind, record } = steps.next()
      if (kind === 'insert') newest = record
      else if (record === newest) hits++
    }
    expect(hits / COUNT).toBeGreaterThan(0.1)
  })
})

describe('speed', () => {
  test('timings', async () => {
    const samples = Array.from({ length: 200 }, (_, i) => 200 - i)
    expect(summarize(samples)).toEqual({ count: 200, best: 1, median: 100, p99: 198, worst: 200 })
    expect(summarize([]).median).toBeNaN()
    const seen: number[] = []
    const work = async (i: number) => void seen.push(i)
    expect((await sample(3, 60_000, work)).count).toBe(3)
    expect((await sample(3, 0, work)).count).toBe(1)
    expect(seen).toEqual([0, 1, 2, 0])
  })

  test('a table and a plot for what was measured, none for the rest', () => {
    const timings = { count: 2, best: 1, median: 2, p99: 3, worst: 4 }
    const cells = { difficulty: [4, 5].map((at) => ({ at, call: 'get', timings })), length: [], keys: [], size: [] }
    const one = { nodes: 1, workload: 'A', operations: 10, perSecond: 5, read: timings, write: timings } as const
    const report = speedReport({ cells, ycsb: [one] }, 1e6, {})
    expect(report.tables.map(({ name }) => name)).toEqual(['speed-difficulty', 'speed-ycsb'])
    expect(report.plots.map(({ name }) => name)).toEqual(['speed-difficulty.svg', 'speed-ycsb.svg'])
    expect(report.tables[0]?.rows[1]).toEqual(['get', 5, 2, 1, 2, 3, 4])
    expect(report.tables[1]?.rows).toEqual([[`A (${WORKLOADS.A})`, 1, 10, 5, 2, 3, 4, 2, 3, 4]])
  })
})

describe('attack51', () => {
  test('a paced process stops and goes on, and is left running', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const pid = child.pid ?? -1
    const isStopped = () => execFileSync('ps', ['-o', 'stat=', '-p', `${pid}`], { encoding: 'utf8' }).startsWith('T')
    try {
      const pace = new Pace(pid, 0.5)
      await waitUntil(isStopped, { what: 'a stop', everyMs: 7 })
      await waitUntil(() => !isStopped(), { what: 'a start', everyMs: 7 })
      await waitUntil(isStopped, { what: 'a second stop', everyMs: 7 })
      await pace.end()
      await waitUntil(() => !isStopped(), { what: 'a free run', everyMs: 7 })
      send(pid, 'SIGSTOP')
      await waitUntil(isStopped, { what: 'a stop by hand' })
      await new Pace(pid, 1).end()
      await waitUntil(() => !isStopped(), { what: 'a run at full pace' })
    } finally {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    }
    expect(send(pid, 'SIGCONT')).toBe(false)
    await new Pace(pid, 0.5).end()
  })

  test('its report', () => {
    const place = { height: 3, hash: 'ab' }
    const reorg = {
      number: 1,
      timeMs: 5,
      depth: 4,
      fork: place,
      from: place,
      to: place,
      alarm: true,
      lost: [],
      lostCount: 0,
    }
    const saw = { minerSaw: 'm', otherSaw: 'o' }
    const won = { honestBlocks: 4, attackerBlocks: 6, hashShare: 0.6, succeeded: true, reorg, alarmMs: 7, ...saw }
    const lost = { ...won, honestBlocks: 8, attackerBlocks: 2, succeeded: false, reorg: undefined, alarmMs: Number.NaN }
    const results = [
      { ...won, share: 0.6, trial: 1 },
      { ...lost, share: 0.6, trial: 2 },
      { ...lost, share: 0.1, trial: 1 },
    ]
    const { tables, plots } = attackReport(results, 2, {})
    expect(tables[0]?.rows).toEqual([
      [0.6, expect.closeTo(0.4), 0.6, 2, 1, 100],
      [0.1, 0.2, 0.6, 1, 0, expect.closeTo(5.6)],
    ])
    expect(tables[1]?.rows.map((row) => row.slice(4, 7))).toEqual([
      ['rewritten', 4, 'rang'],
      ['failed', 0, '-'],
      ['failed', 0, '-'],
    ])
    expect(plots.map(({ name }) => name)).toEqual(['attack51.svg'])
  })
})

describe('faults', () => {
  const wanted = { kinds: FAULT_KINDS, behaviours: [] }

  test('hit one, the first miner, or all but one: somebody is always left, and somebody who mines', () => {
    for (const nodes of [3, 4, 9]) {
      const victims = faultsFor({ ...wanted, nodes, byzantine: [1, nodes - 1] }).map((fault) => fault.victims)
      expect(victims.map(({ length }) => length)).toEqual([1, 1, nodes - 1, 1, nodes - 1, 1, nodes - 1])
      expect(victims[1]).toEqual([0])
      for (const list of victims) {
        expect(list.every((victim) => victim >= 0 && victim < nodes)).toBe(true)
        expect([0, 1].some((miner) => !list.includes(miner))).toBe(true)
      }
    }
  })

  test('byzantine ones are of all behaviours, or of each alone; what there is not is one clear error', () => {
    const some = { nodes: 4, kinds: ['byzantine'], byzantine: [1, 3] }
    const all = faultsFor({ ...some, behaviours: [] })
    expect(all.map(({ name }) => name)).toEqual(['byzantine, 1 of 4', 'byzantine, 3 of 4'])
    for (const { behaviours } of all) expect(behaviours).toEqual(HOSTILE_NAMES)
    const each = faultsFor({ ...some, behaviours: ['orphans', 'spam'] })
    expect(each.map(({ name, behaviours }) => [name, behaviours])).toEqual([
      ['orphans, 1 of 4', ['orphans']],
      ['orphans, 3 of 4', ['orphans']],
      ['spam, 1 of 4', ['spam']],
      ['spam, 3 of 4', ['spam']],
    ])
    expect(() => faultsFor({ ...some, behaviours: ['politeness'] })).toThrow(
      expect.objectContaining({ code: 'lab-options', message: expect.stringContaining('equivocating') }),
    )
    expect(() => faultsFor({ ...some, kinds: ['flood'], behaviours: [] })).toThrow(
      expect.objectContaining({
        code: 'lab-options',
        message: "there is no fault 'flood': there are crash, silence, byzantine",
      }),
    )
  })
})
