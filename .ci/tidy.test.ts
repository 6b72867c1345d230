/**
 * The style rules, as a test: which way imports run, no cycles, where clock, randomness, timers and the process may be touched, and what
 * no source may hold. Plan: read every source once, then one test for each rule, which lists each place that breaks it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

interface Source {
  /** Path from the root, e.g. packages/core/src/codec.ts. */
  readonly path: string
  readonly text: string
  /** Paths from the root of the files that it imports. */
  readonly imports: readonly string[]
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

const IMPORT = /(?:from|import)\s*\(?\s*'([^']+)'/g

/** The file that an import means, if it is one of ours. */
function resolveImport(from: string, specifier: string): string | undefined {
  const own = /^@kvchain\/([a-z]+)\/(.+)$/.exec(specifier)
  if (own !== null) {
    const folder = own[1] === 'bench' ? 'bench' : `packages/${own[1]}`
    return `${folder}/src/${own[2]}.ts`
  }
  if (!specifier.startsWith('.')) return undefined
  return relative(root, resolve(dirname(join(root, from)), specifier)).replace(/\.js$/, '.ts')
}

function readSources(): Source[] {
  const folders = [
    ...readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name, 'src')),
    join(root, 'bench/src'),
  ]
  return folders
    .flatMap(filesBelow)
    .filter((path) => path.endsWith('.ts'))
    .map((file) => {
      const path = relative(root, file)
      const text = readFileSync(file, 'utf8')
      const imports = [...text.matchAll(IMPORT)]
        .map((match) => resolveImport(path, match[1] ?? ''))
        .filter((target) => target !== undefined)
      return { path, text, imports }
    })
}

const sources = readSources()

/** Every line of `source` that matches, comments left out. */
function linesMatching(source: Source, pattern: RegExp): string[] {
  const code = source.text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
  return code
    .split('\n')
    .map((line, i) => ({ line: line.replace(/(^|\s)\/\/.*$/, ''), at: `${source.path}:${i + 1}` }))
    .filter(({ line }) => pattern.test(line))
    .map(({ line, at }) => `${at} ${line.trim()}`)
}

function offences(pattern: RegExp, isExempt: (path: string) => boolean = () => false): string[] {
  return sources.filter(({ path }) => !isExempt(path)).flatMap((source) => linesMatching(source, pattern))
}

function packageOf(path: string): string {
  return path.startsWith('bench/') ? 'bench' : (path.split('/')[1] ?? '')
}

/** Which packages each package may use. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  core: [],
  client: ['core'],
  node: ['core', 'client'],
  lab: ['core', 'client', 'node'],
  cli: ['core', 'client', 'node', 'lab'],
  explorer: ['core', 'client'],
  bench: ['core', 'client', 'node', 'lab', 'cli'],
}

/** The rooms of packages/node from the lowest up: a room may use those before it, and itself. */
const ROOMS = ['runtime', 'crypto', 'store', 'chain', 'mempool', 'miner', 'net', 'sync', 'rpc', 'http']

function roomOf(path: string): string | undefined {
  return /^packages\/node\/src\/([^/]+)\//.exec(path)?.[1]
}

describe('imports', () => {
  test('the sources are found', () => {
    expect(sources.length).toBeGreaterThan(50)
    expect(sources.find(({ path }) => path === 'packages/node/src/node.ts')?.imports).toContain(
      'packages/node/src/ledger.ts',
    )
  })

  test('every import of ours is a file', () => {
    const known = new Set(sources.map(({ path }) => path))
    const broken = sources.flatMap(({ path, imports }) =>
      imports.filter((target) => !known.has(target)).map((target) => `${path} -> ${target}`),
    )
    expect(broken).toEqual([])
  })

  test('packages import one way', () => {
    const wrong = sources.flatMap(({ path, imports }) => {
      const from = packageOf(path)
      return imports
        .filter((target) => packageOf(target) !== from && MAY_USE[from]?.includes(packageOf(target)) !== true)
        .map((target) => `${path} -> ${target}`)
    })
    expect(wrong).toEqual([])
  })

  test('rooms of the node import one way', () => {
    const wrong = sources.flatMap(({ path, imports }) => {
      const from = roomOf(path)
      if (from === undefined) return []
      return imports
        .map((target) => ({ target, room: roomOf(target) }))
        .filter(({ room }) => room !== undefined && ROOMS.indexOf(room) > ROOMS.indexOf(from))
        .map(({ target }) => `${path} -> ${target}`)
    })
    expect(wrong).toEqual([])
    const unknown = sources.map(({ path }) => roomOf(path)).filter((room) => room && !ROOMS.includes(room))
    expect([...new Set(unknown)]).toEqual([])
  })

  test('nothing in the node imports its composition root', () => {
    const composition = 'packages/node/src/node.ts'
    const users = sources.filter(({ path, imports }) => packageOf(path) === 'node' && imports.includes(composition))
    expect(users.map(({ path }) => path)).toEqual([])
  })

  test('there are no cycles, types included', () => {
    const importsOf = new Map(sources.map(({ path, imports }) => [path, imports]))
    const state = new Map<string, 'open' | 'done'>()
    const cycles: string[] = []
    const visit = (path: string, trail: readonly string[]) => {
      if (state.get(path) === 'done') return
      if (state.get(path) === 'open') {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '))
        return
      }
      state.set(path, 'open')
      for (const target of importsOf.get(path) ?? []) visit(target, [...trail, path])
      state.set(path, 'done')
    }
    for (const { path } of sources) visit(path, [])
    expect(cycles).toEqual([])
  })

  test('there are no barrels', () => {
    expect(sources.filter(({ path }) => path.endsWith('/index.ts')).map(({ path }) => path)).toEqual([])
  })
})

describe('the outside world', () => {
  const CLOCK = /\b(?:Date\.now|new Date\(|performance\.now|process\.hrtime)/
  const RANDOM = /\b(?:Math\.random|randomBytes|randomInt|randomUUID|getRandomValues)\b/
  const TIMERS = /\b(?:setTimeout|setInterval|setImmediate)\b|timers\/promises/

  /** Programs for people and machines may look at the clock; what they build on may not. */
  const isProgram = (path: string) => ['cli', 'lab', 'bench'].includes(packageOf(path))
  const isRuntime = (path: string) => path.startsWith('packages/node/src/runtime/')

  test('clock, randomness and timers only in runtime/', () => {
    const isExempt = (path: string) => isProgram(path) || isRuntime(path)
    expect(offences(CLOCK, isExempt)).toEqual([])
    expect(offences(RANDOM, isExempt)).toEqual([])
    expect(offences(TIMERS, isExempt)).toEqual([])
  })

  test('core is pure: no node modules, no async, no console', () => {
    const isOther = (path: string) => packageOf(path) !== 'core'
    expect(offences(/from 'node:|\bBuffer\b|\bprocess\./, isOther)).toEqual([])
    expect(offences(/\basync\b|\bawait\b|\bPromise\b/, isOther)).toEqual([])
    expect(offences(/\bIntl\b|\.toLocale|\.localeCompare/, isOther)).toEqual([])
  })

  test('the process belongs to the programs', () => {
    expect(offences(/\bprocess\.(?!versions)/, (path) => isProgram(path))).toEqual([])
    expect(offences(/\bconsole\./, (path) => isProgram(path))).toEqual([])
  })
})

describe('words', () => {
  test('no bare errors', () => {
    expect(offences(/\bnew (?:Type|Range|Syntax|Eval|URI|Reference|Aggregate)?Error\(|\bthrow ['"`]/)).toEqual([])
  })

  test('no any, no casts through unknown to silence the compiler', () => {
    expect(offences(/(?::|<|\bas) any\b|@ts-(?:ignore|expect-error|nocheck)/)).toEqual([])
  })

  test('no work left without an issue number', () => {
    const left = sources.flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, i) => (/\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/.test(line) ? [`${path}:${i + 1}`] : [])),
    )
    expect(left).toEqual([])
  })

  test('every source begins by saying what it owns', () => {
    const silent = sources.filter(({ text }) => !/^(?:#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path)
    expect(silent).toEqual([])
  })
})
