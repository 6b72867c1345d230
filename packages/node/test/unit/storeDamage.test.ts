/**
 * Damaged data folders: whatever is done to a file of the database, the ledger of the folder never gives a wrong answer; it opens, made anew when it
 * must be; and with the blocks that it lacks it has the state of one that nothing happened to. KVCHAIN_LONG=1: a thousand folders; KVCHAIN_SEED: others.
 *
 * Plan: one folder is made, and damaged copies of it. A process of its own (damageWorker.mjs) opens each and compares all that it says with the
 * truth at its tip. Where a read finds damage the node ends: so the worker opens the folder again; and where LevelDB ends the process, it is started again.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyOf, Dice, damage, makeSpecimen, remove, type Specimen } from '../helpers/damage.js'

const WORKER = fileURLToPath(new URL('../fixtures/damageWorker.mjs', import.meta.url))
const TRIALS = process.env.KVCHAIN_LONG === '1' ? 1_000 : 60
const SEED = Number(process.env.KVCHAIN_SEED ?? 1)
const BATCH = 25
/** Ends of the process, by LevelDB, over one folder. */
const MAX_ENDS = 3

let specimen: Specimen
let place: string
let specimenFile: string

beforeAll(async () => {
  specimen = await makeSpecimen(SEED)
  place = mkdtempSync(join(tmpdir(), 'kvchain-damage-'))
  specimenFile = join(place, 'specimen.json')
  writeFileSync(specimenFile, JSON.stringify(specimen))
})

afterAll(() => {
  remove(specimen.folder)
  remove(place)
})

interface Line {
  readonly folder: string
  readonly found?: readonly string[]
  readonly wrong?: string
}

/** One worker; the lines that it came to print. */
function work(folders: readonly string[]): Promise<{ lines: Line[]; stderr: string }> {
  const child = spawn(process.execPath, [WORKER, specimenFile, ...folders])
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve) => {
    child.on('close', () => {
      const text = Buffer.concat(stdout).toString().split('\n').filter(Boolean)
      resolve({ lines: text.map((line): Line => JSON.parse(line)), stderr: Buffer.concat(stderr).toString() })
    })
  })
}

/** Tries a batch of folders; throws for the first that is wrong. Returns how many were found damaged by a read, and how often LevelDB ended it. */
async function tryBatch(damaged: ReadonlyMap<string, string>): Promise<{ found: number; ends: number }> {
  let left = [...damaged.keys()]
  let [found, ends] = [0, 0]
  const endsOf = new Map<string, number>()
  while (left.length > 0) {
    const { lines, stderr } = await work(left)
    for (const line of lines) {
      expect(line.wrong, `seed ${SEED}, ${damaged.get(line.folder)}, kept in ${line.folder}`).toBeUndefined()
      found += line.found?.length ?? 0
      remove(line.folder)
    }
    left = left.slice(lines.length)
    const [deadly] = left
    if (deadly === undefined) break
    ends++
    endsOf.set(deadly, (endsOf.get(deadly) ?? 0) + 1)
    const what = `seed ${SEED}, ${damaged.get(deadly)}, kept in ${deadly}: ${stderr}`
    expect(stderr, what).toContain('leveldb')
    expect(endsOf.get(deadly), what).toBeLessThanOrEqual(MAX_ENDS)
  }
  return { found, ends }
}

async function tryMany(trials: number, damages: number, dice: Dice): Promise<{ found: number; ends: number }> {
  const sum = { found: 0, ends: 0 }
  for (let done = 0; done < trials; done += BATCH) {
    const damaged = new Map<string, string>()
    for (let i = done; i < Math.min(trials, done + BATCH); i++) {
      const copy = copyOf(specimen.folder)
      const what = Array.from({ length: damages }, () => damage(join(copy, 'db'), dice)).join(' and ')
      damaged.set(copy, `folder ${i}: ${what}`)
    }
    const { found, ends } = await tryBatch(damaged)
    sum.found += found
    sum.ends += ends
  }
  return sum
}

test(`${TRIALS} damaged folders never give a wrong answer, and recover`, async () => {
  const { found, ends } = await tryMany(TRIALS, 1, new Dice(SEED))
  process.stderr.write(`damage found by reads: ${found}; ends by LevelDB: ${ends}\n`)
}, 3_600_000)

test('several damages at once are no worse', async () => {
  await tryMany(TRIALS / 5, 3, new Dice(SEED + 1_000_000))
}, 3_600_000)
