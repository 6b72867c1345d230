/** The program of the simulator: what it is given wrongly it says in a line, with how it is used; a seed it plays, and says so. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../dist/sim/main.js', import.meta.url))

async function sim(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const run = promisify(execFile)(process.execPath, [program, ...args])
  return run.then(
    (output) => ({ code: 0, ...output }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

test.each([
  [[], /^sim: usage: main\.js scenario/],
  [['seeds', '--sed', '4'], /^sim: Unknown option '--sed'.*; usage: /],
  [['seeds', '--seed', 'x'], /^sim: x is no number above 0; usage: /],
  [['scenario', '--seed', '1', '--nodes', 'a,b'], /^sim: .*a,b/],
  [['nonsense'], /^sim: usage: /],
])('%j is told how it is used', async (args, line) => {
  const { code, stdout, stderr } = await sim(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(line)
  expect(stderr).not.toContain('    at ')
})

test('help, and a seed', async () => {
  expect(await sim('--help')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^usage: /), stderr: '' })
  expect(await sim('seeds', '--seed', '3', '--count', '1')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/seed 3: 1 of 1, .* 0 failed/),
  })
})
