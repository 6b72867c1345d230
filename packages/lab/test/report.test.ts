/** docs/report.md says which names in the code do what its pseudo-code says: each of them is in its file; and each plot and page that it shows is there. */
import { readFile } from 'node:fs/promises'
import { runKvchain } from '@kvchain/lab/launchers'
import { expect, test } from 'vitest'

const root = new URL('../../../', import.meta.url)
const report = await readFile(new URL('docs/report.md', root), 'utf8')

/** Rows `| step | \`file\` | \`name\` |`. */
const mapped = [...report.matchAll(/^\| [^|]+ \| `((?:packages|bin|bench|configs)\/[^`|]+)` \| `([^`|]+)` \|$/gm)].map(
  ([, file = '', name = '']) => ({ file, name }),
)

test('the report maps its pseudo-code to the code', () => {
  expect(mapped.length).toBeGreaterThan(40)
})

test.each(mapped)('$file has $name', async ({ file, name }) => {
  const code = await readFile(new URL(file, root), 'utf8')
  // As a declaration: of a function, a class, a constant, a method.
  const declared = new RegExp(
    `(?:^|\\n)(?:export )?(?:async )?(?:function\\*? |class |const |  (?:private |protected |static )*(?:async )?)${name}\\b`,
  )
  expect(declared.test(code)).toBe(true)
})

test('every file that the report links to is there', async () => {
  const links = [...report.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target)
  expect(links.length).toBeGreaterThan(10)
  for (const target of links) {
    if (target.startsWith('http')) continue
    await expect(readFile(new URL(`docs/${target}`, root)), target).resolves.toBeDefined()
  }
})

test('every command of the laboratory that it names is one', async () => {
  const { stdout } = await runKvchain(['lab', '--help'])
  const named = new Set([...report.matchAll(/kvchain lab (\w+)/g)].map(([, name = '']) => name))
  expect(named.size).toBeGreaterThanOrEqual(7)
  for (const name of named) expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'))
})
