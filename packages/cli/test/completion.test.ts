/**
 * 1. Completion scripts complete commands, options and values, in a real bash; every command of both programs is in each script.
 * 2. The examples of configs/: the daemon takes the flags and variables that they name; systemd finds nothing wrong with the unit.
 * 3. Every command says what it is, what each option is, and the exit codes.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clientProgram } from '@kvchain/cli/client/commands'
import { SHELLS } from '@kvchain/cli/completion'
import { completionScript } from '@kvchain/cli/completionScript'
import { readSettings } from '@kvchain/cli/daemon/settings'
import { daemonProgram } from '@kvchain/cli/kvchain'
import { DAEMON_LAUNCHER, runCli, runKvchain } from '@kvchain/lab/launchers'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'

const config = (path: string) => readFileSync(new URL(`../../../configs/${path}`, import.meta.url), 'utf8')
const has = (program: string) => spawnSync(program, ['--version']).status === 0

/** What bash offers for the last of the words. */
function offered(program: Command, ...words: string[]): string[] {
  const name = program.name()
  const script = `${completionScript(program, 'bash')}
COMP_WORDS=(${[name, ...words].map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_${name.replaceAll('-', '_')}; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout.split('\n').filter((word) => word !== '')
}

describe.skipIf(!has('bash'))('bash', () => {
  test('commands, options and values', () => {
    expect(offered(daemonProgram(), 'da')).toEqual(['daemon'])
    expect(offered(daemonProgram(), 'db', '')).toEqual(expect.arrayContaining(['check', 'rebuild']))
    expect(offered(daemonProgram(), 'db', 'check', '--data')).toEqual(['--data-dir'])
    expect(offered(daemonProgram(), 'daemon', '--network', '')).toEqual(['dev', 'lan', 'public'])
    expect(offered(daemonProgram(), 'daemon', '--log-level', 'w')).toEqual(['warn'])
    expect(offered(daemonProgram(), 'daemon', '--data-dir', '')).toEqual([])
    expect(offered(daemonProgram(), 'completion', 'f')).toEqual(['fish'])
    expect(offered(clientProgram(), 'get', 'k', '--key-encoding', 'h')).toEqual(['hex'])
    expect(offered(clientProgram(), 'hist')).toEqual(['history'])
  })
})

test.skipIf(!has('fish'))('fish takes its script', () => {
  for (const program of [daemonProgram(), clientProgram()]) {
    const { status } = spawnSync('fish', ['--no-execute'], { input: completionScript(program, 'fish') })
    expect(status).toBe(0)
  }
})

test('the scripts are printed, and name every command', async () => {
  for (const shell of SHELLS) {
    const [daemon, client] = [await runKvchain(['completion', shell]), await runCli(['completion', shell])]
    expect(daemon.stdout).toBe(completionScript(daemonProgram(), shell))
    expect(client.stdout).toBe(completionScript(clientProgram(), shell))
    for (const { name } of clientProgram().commands.map((command) => ({ name: command.name() }))) {
      expect(client.stdout).toMatch(new RegExp(`\\b${name}\\b`))
    }
  }
  expect(await runCli(['completion', 'tcsh'])).toMatchObject({ exitCode: 2, stdout: '' })
})

test('the unit: flags that exist, and a unit that systemd takes', async () => {
  const unit = config('systemd/kvchain.service')
  const line = /^ExecStart=\S+ (.*)$/m.exec(unit)?.[1] ?? ''
  expect(await runKvchain([...line.split(' '), '--print-config'])).toMatchObject({ exitCode: 0 })
  if (!has('systemd-analyze')) return
  const folder = mkdtempSync(join(tmpdir(), 'kvchain-unit-'))
  const file = join(folder, 'kvchain.service')
  // The program where it is here, and a user who is.
  writeFileSync(
    file,
    unit.replace(/^ExecStart=\S+/m, `ExecStart=${DAEMON_LAUNCHER}`).replace('User=kvchain', 'User=root'),
  )
  const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  expect(`${stdout}${stderr}`.split('\n').filter((text) => text.includes('kvchain.service'))).toEqual([])
})

test('the container file: variables that are settings, and a health check that is a command', async () => {
  const file = config('container/Containerfile')
  const pairs = [...file.matchAll(/(KVCHAIN_\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value])
  expect(readSettings({}, Object.fromEntries(pairs), '/')).toMatchObject({
    network: 'lan',
    dataDir: '/data',
    logFormat: 'json',
  })
  expect(pairs).toHaveLength(4)
  const health = JSON.parse(/CMD (\[.*\])/.exec(file)?.[1] ?? '[]')
  expect(health[0]).toBe('kvchain-cli')
  // A daemon that is not there: unhealthy, and not a usage error.
  const folder = mkdtempSync(join(tmpdir(), 'kvchain-health-'))
  expect(await runCli(['--data-dir', folder, ...health.slice(1)])).toMatchObject({ exitCode: 5 })
  rmSync(folder, { recursive: true })
})

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)]
}

test('every command and every option says what it is', () => {
  for (const command of [daemonProgram(), clientProgram()].flatMap(commandsOf)) {
    expect([command.name(), command.description()]).toEqual([command.name(), expect.stringMatching(/\w{3}/)])
    for (const option of command.options) {
      expect([command.name(), option.flags, option.description]).toEqual([
        command.name(),
        option.flags,
        expect.stringMatching(/\w{2}/),
      ])
    }
  }
})
