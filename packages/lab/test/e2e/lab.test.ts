/**
 * kvchain lab, as a user runs it, in its smallest size:
 * 1. noobcash plays files: what a payer cannot pay is counted, not lost; every file is written;
 * 2. a bad file or option is one line and exit code 2, before any daemon starts;
 * 3. Ctrl-C stops the daemons and leaves nothing behind;
 * 4. speed times every call it names, in each situation, and every workload;
 * 5. attack51 with most of the hash power rewrites the key, rings the alarm, and tells who watched;
 * 6. faults of every kind lose nothing, those of hostile peers included, each of which is in the table;
 * 7. scale counts writes, the way of a block, and bytes; simulated experiments give the same files for the same seed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HOSTILE_NAMES } from '@kvchain/lab/experiments/faultsByzantine'
import { FAULT_KINDS } from '@kvchain/lab/experiments/faultsRun'
import { cleanEnvironment, DAEMON_LAUNCHER, runKvchain } from '@kvchain/lab/launchers'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let folder: TempDir
beforeAll(async () => {
  folder = await TempDir.make()
})
afterAll(() => folder.remove())

async function lab(args: readonly string[]) {
  return runKvchain(['lab', ...args], { timeoutMs: 110_000 })
}

/** The same for what must go well. */
async function labWell(args: readonly string[]) {
  const result = await lab(args)
  expect(result.exitCode, result.stderr).toBe(0)
  return result
}

async function readJson(out: string, name: string) {
  return JSON.parse(await readFile(join(out, `${name}.json`), 'utf8'))
}

/** The rows of a table as objects, by the names of its columns. */
function rowsOf(json: { tables: { name: string; columns: string[]; rows: (string | number)[][] }[] }, name: string) {
  const table = json.tables.find((other) => other.name === name)
  return (table?.rows ?? []).map((row) => Object.fromEntries(row.map((cell, i) => [table?.columns[i], cell])))
}

describe('noobcash', () => {
  test('plays files and writes every file', async () => {
    const files = join(folder.path, 'payments')
    await mkdir(files)
    // Node 0 has 100 coins: the second payment is more than it can ever have.
    await writeFile(join(files, 'transactions0.txt'), 'id1 10\nid1 1000\nid1 5\nid1 1\nid1 2\n')
    await writeFile(join(files, 'transactions1.txt'), 'id0 1\nid0 2\nid0 3\nid0 4\nid0 5\n')
    const out = join(folder.path, 'noobcash')
    const size = ['--nodes', '2', '--capacity', '2', '--difficulty', '2']
    const result = await labWell(['noobcash', ...size, '--transactions', files, '--out', out])
    expect(result.stdout).toContain('Measured')
    const [row] = rowsOf(await readJson(out, 'noobcash'), 'noobcash')
    expect(row).toMatchObject({ nodes: 2, capacity: 2, difficulty: 2, 'went through': 9, refused: 1, failed: 0 })
    expect(row?.['tx a block']).toBeLessThanOrEqual(2)
    expect((await readdir(out)).sort()).toEqual([
      'index.html',
      'noobcash-2-block-time.svg',
      'noobcash-2-throughput.svg',
      'noobcash-published.csv',
      'noobcash.csv',
      'noobcash.json',
    ])
  })

  test('what cannot be is one line and exit code 2', async () => {
    const files = join(folder.path, 'bad')
    await mkdir(files)
    await writeFile(join(files, 'transactions0.txt'), 'id1 10\nid12 1\n')
    await writeFile(join(files, 'transactions1.txt'), '')
    expect(await lab(['noobcash', '--nodes', '2', '--transactions', files])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'kvchain: transactions0.txt, line 2: there is no node 12: ids are 0 to 1 (see kvchain lab --help)\n',
    })
    const odd = await lab(['noobcash', '--difficulty', '4,x'])
    expect(odd).toMatchObject({ exitCode: 2, stdout: '' })
    expect(odd.stderr).toContain("--difficulty must be a whole number from 1 to 7, not 'x'")
  })

  test('Ctrl-C stops the daemons and leaves nothing', async () => {
    const temporary = join(folder.path, 't')
    await mkdir(temporary)
    // Difficulty 7 takes minutes: it is certainly under way.
    const args = [DAEMON_LAUNCHER, 'lab', 'noobcash', '--nodes', '2', '--difficulty', '7']
    const child = spawn(process.execPath, args, { env: { ...cleanEnvironment(), TMPDIR: temporary } })
    const ended = once(child, 'exit')
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const sockets = async () =>
      (await readdir(temporary, { recursive: true })).filter((name) => name.endsWith('kvchain.sock'))
    await waitUntil(async () => (await sockets()).length === 2, { what: 'two daemons' })
    child.kill('SIGINT')
    expect(await ended).toEqual([1, null])
    expect(stderr).toContain('called off; nothing was written')
    expect(await readdir(temporary)).toEqual([])
  })
})

describe('speed', () => {
  test('times every call in every situation', async () => {
    const out = join(folder.path, 'speed')
    await labWell(['speed', '--quick', '--out', out])
    const json = await readJson(out, 'speed')
    const situations = (name: string, unit: string) =>
      rowsOf(json, name).map((row) => {
        expect(row.best).toBeGreaterThan(0)
        expect(row.worst).toBeGreaterThanOrEqual(Number(row.median))
        return `${row.call} ${row[unit]}`
      })
    expect(situations('speed-difficulty', 'leading zeros (hex digits)')).toEqual(
      [2, 3].flatMap((zeros) => ['put, in a block', 'put, accepted', 'get'].map((call) => `${call} ${zeros}`)),
    )
    expect(new Set(situations('speed-length', 'blocks')).size).toBe(12)
    expect(new Set(situations('speed-keys', 'keys')).size).toBe(6)
    expect(new Set(situations('speed-size', 'bytes')).size).toBe(4)
    const ycsb = rowsOf(json, 'speed-ycsb')
    expect(ycsb.map((row) => String(row.workload).slice(0, 1))).toEqual(['A', 'B', 'C', 'F', 'D'])
    expect(ycsb.every((row) => Number(row['ops/s']) > 0)).toBe(true)
    expect((await readdir(out)).filter((name) => name.endsWith('.svg'))).toHaveLength(5)
  })
})

describe('attack51', () => {
  test('with most of the hash power it succeeds, and nobody is left in the dark', async () => {
    const out = join(folder.path, 'attack51')
    await labWell(['attack51', '--quick', '--out', out])
    const json = await readJson(out, 'attack51')
    expect(rowsOf(json, 'attack51')).toMatchObject([{ share: 0.8, trials: 1, succeeded: 1, 'expected %': 100 }])
    const [trial] = rowsOf(json, 'attack51-trials')
    expect(trial).toMatchObject({ result: 'rewritten' })
    expect(Number(trial?.['attacker’s'])).toBeGreaterThan(Number(trial?.['honest blocks']))
    // The buyer had two confirmations, and the alarm is set at three blocks.
    expect(Number(trial?.depth)).toBeGreaterThanOrEqual(2)
    expect(trial?.alarm).toBe(Number(trial?.depth) >= 3 ? 'rang' : 'silent')
    for (const who of ['other daemon', 'miner']) {
      const saw = String(trial?.[`client of the ${who} saw`])
      const order = ['put 1 "sold to alice"', 'retracted 1', 'put 1 "sold to mallory"', 'put 2 "mallory moves in"']
      const places = order.map((event) => saw.indexOf(event))
      expect(places).toEqual([...places].sort((a, b) => a - b))
      expect(places[0]).toBeGreaterThanOrEqual(0)
    }
    const odd = await lab(['attack51', '--share', '0.95'])
    expect(odd).toMatchObject({ exitCode: 2, stdout: '' })
    expect(odd.stderr).toContain("--share must be from 0.1 to 0.9, not '0.95'")
  })
})

describe('faults', () => {
  test('nothing that was accepted is lost', async () => {
    const out = join(folder.path, 'faults')
    await labWell(['faults', '--faults', 'crash,silence', '--quick', '--out', out])
    const rows = rowsOf(await readJson(out, 'faults'), 'faults')
    expect(rows.map(({ fault, victims, lost }) => [fault, victims, lost])).toEqual([
      ['crash of one', 1, 0],
      ['crash of a miner in mid-block', 1, 0],
      ['crash of all but one', 2, 0],
      ['silence of one', 1, 0],
      ['silence of all but one', 2, 0],
    ])
    for (const row of rows) expect(Number(row.accepted)).toBeGreaterThan(0)
  })

  test('nor with a hostile program in the place of a daemon', async () => {
    const out = join(folder.path, 'faults-byzantine')
    await labWell(['faults', '--faults', 'byzantine', '--quick', '--out', out])
    const json = await readJson(out, 'faults')
    const rows = rowsOf(json, 'faults')
    expect(rows).toMatchObject([{ fault: 'byzantine, 1 of 3', victims: 1, lost: 0 }])
    expect(Number(rows[0]?.accepted)).toBeGreaterThan(0)
    const hostile = rowsOf(json, 'faults-hostile')
    expect(hostile.map(({ behaviour, peers }) => [behaviour, peers])).toEqual(HOSTILE_NAMES.map((name) => [name, 1]))
    const banned = hostile.filter((row) => row.banned === 1).length
    expect(rows.at(-1)?.banned).toBe(`${banned} of ${HOSTILE_NAMES.length}`)
    const { stdout: help } = await lab(['faults', '--help'])
    for (const name of [...FAULT_KINDS, ...HOSTILE_NAMES]) expect(help).toContain(name)
    const odd = await lab(['faults', '--faults', 'byzantine', '--behaviours', 'orphans,politeness'])
    expect(odd).toMatchObject({ exitCode: 2, stdout: '' })
    expect(odd.stderr).toContain("there is no behaviour 'politeness'")
  })
})

describe('scale', () => {
  test('counts writes, the way of a block, and bytes', async () => {
    const out = join(folder.path, 'scale')
    await labWell(['scale', '--quick', '--nodes', '3', '--out', out])
    const [row] = rowsOf(await readJson(out, 'scale'), 'scale')
    expect(row?.nodes).toBe(3)
    expect(Number(row?.['writes/s'])).toBeGreaterThan(0)
    expect(Number(row?.['bytes/s a node'])).toBeGreaterThan(Number(row?.['idle bytes/s a node']))
  })
})

describe('simulated', () => {
  test('the same seed gives the same page, and needs no daemon', async () => {
    const pages = []
    for (const name of ['once', 'again']) {
      const out = join(folder.path, name)
      await labWell(['stale', '--quick', '--seed', '3', '--out', out])
      pages.push(await readFile(join(out, 'index.html'), 'utf8'))
    }
    expect(pages[0]).toBe(pages[1])
    expect(pages[0]).not.toContain('machine')
    const out = join(folder.path, 'byzantine')
    await labWell(['faults', '--simulated', '--quick', '--out', out])
    const rows = rowsOf(await readJson(out, 'faults'), 'faults')
    expect(rows.map(({ accepted, lost }) => [accepted, lost])).toEqual(Array.from({ length: 8 }, () => [60, 0]))
    const odd = await lab(['scale', '--simulated', '--nodes', '1001'])
    expect(odd).toMatchObject({ exitCode: 2, stdout: '' })
  })
})
