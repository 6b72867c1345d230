/**
 * The launcher of real daemons:
 * 1. two daemons joined by bootstrap keep what is put on either; one is killed with -9 and comes back on its folder and port;
 * 2. two daemons that know nothing of each other meet by mDNS;
 * 3. a daemon that cannot start is reported, with what it said, and so is one that dies while something is awaited of it;
 * 4. no process and no folder is left, whether the work succeeds, fails, ends the process or is interrupted.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { KvError } from '@kvchain/core/errors'
import { Cluster, withCluster } from '@kvchain/lab/cluster'
import { Daemon } from '@kvchain/lab/daemon'
import { LabError } from '@kvchain/lab/errors'
import { TempDir } from '@kvchain/lab/tempDir'
import { waitUntil } from '@kvchain/lab/wait'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let folder: TempDir
beforeAll(async () => {
  folder = await TempDir.make('test')
})
afterAll(() => folder.remove())

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

describe('a cluster', () => {
  test('keeps what is put on either daemon, one of which is killed and comes back', async () => {
    const pids: number[] = []
    const path = await withCluster({ nodes: 2 }, async (cluster) => {
      const [first, second] = [cluster.at(0), cluster.at(1)]
      pids.push(first.pid, second.pid)
      const { txid } = await second.client.put('before', 'the fall')
      await second.client.waitFor(txid)
      await cluster.waitForSameTip({ minHeight: 1 })
      expect((await first.client.get('before'))?.value).toBe('the fall')

      await second.kill9()
      expect(second.isRunning).toBe(false)
      expect(await second.exited()).toEqual({ code: null, signal: 'SIGKILL' })
      const while2IsDead = await first.client.put('during', 'it')
      await first.client.waitFor(while2IsDead.txid)

      const addresses = second.addresses
      await second.restart()
      pids.push(second.pid)
      expect(second.addresses).toEqual(addresses)
      await cluster.waitForPeers()
      const entry = await second.waitFor(({ client }) => client.get('during'), { what: 'the put on the other daemon' })
      expect(entry.value).toBe('it')
      const get = await second.cli(['get', 'before'])
      expect(get).toEqual({ exitCode: 0, stdout: 'the fall', stderr: '' })
      return cluster.path
    })
    expect(pids.filter(isAlive)).toEqual([])
    expect(await exists(path)).toBe(false)
  })

  test('meets by mDNS', async () => {
    await withCluster({ nodes: 2, join: 'mdns' }, async (cluster) => {
      await cluster.waitForPeers()
      const [status, other] = await Promise.all(cluster.daemons.map((daemon) => daemon.status()))
      expect(status?.network).toMatch(/^dev-[0-9a-f]{8}$/)
      expect(other?.genesis).toBe(status?.genesis)
    })
  })

  test('is stopped, and its folders kept, when the work on it fails', async () => {
    let cluster: Cluster | undefined
    const fails = withCluster({ nodes: 1 }, async (started) => {
      cluster = started
      throw new LabError('lab-timeout', 'what was hoped for did not come')
    })
    await expect(fails).rejects.toThrow('what was hoped for')
    expect(cluster?.at(0).isRunning).toBe(false)
    expect(await readFile(cluster?.at(0).logFile ?? '', 'utf8')).toContain('chain loaded')
    await cluster?.stop()
    expect(await exists(cluster?.path ?? '')).toBe(false)
  })

  test('that cannot start leaves nothing running', async () => {
    const fails = Cluster.start({ nodes: 2, node: (index) => (index === 0 ? {} : { args: ['--no-such-flag'] }) })
    const error = await fails.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'lab-start', data: { exitCode: expect.any(Number) } })
    expect(String(error)).toContain('--no-such-flag')
    // What is kept of it names itself.
    if (error instanceof LabError) await rm(dirname(String(error.data.dataDir)), { recursive: true })
  })

  test('has no daemon beyond the last', async () => {
    await withCluster({ nodes: 1 }, async (cluster) => {
      expect(() => cluster.at(1)).toThrow(expect.objectContaining({ code: 'lab-options' }))
    })
  })
})

describe('a daemon', () => {
  test('that ends before it is ready fails the start with what it said', async () => {
    const fails = Daemon.start({ dataDir: join(folder.path, 'nowhere'), network: 'nowhere' })
    const error = await fails.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(LabError)
    expect(error).toMatchObject({ code: 'lab-start', data: { exitCode: expect.any(Number) } })
    expect(String(error)).toContain('no network nowhere')
  })

  test('is not started twice on one folder, and a dead one is not waited for', async () => {
    const dataDir = join(folder.path, 'twice')
    const daemon = await Daemon.start({ dataDir })
    try {
      await expect(Daemon.start({ dataDir })).rejects.toMatchObject({ code: 'lab-start' })
      expect((await daemon.status()).dataDir).toBe(dataDir)
      const never = daemon.waitFor(() => false, { what: 'what never comes' })
      // Handled before the kill, so that the rejection is never without a taker.
      const outcome = never.catch((error: unknown) => error)
      await daemon.kill9()
      expect(await outcome).toMatchObject({ code: 'lab-exit' })
      await expect(daemon.kill9()).rejects.toBeInstanceOf(KvError)
    } finally {
      await daemon.stop()
    }
  })

  test('stops in good order, at once or when it was stopped already', async () => {
    const daemon = await Daemon.start({ dataDir: join(folder.path, 'stops') })
    expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    expect(isAlive(daemon.pid)).toBe(false)
  })

  test.each([
    ['exit', undefined],
    ['wait', 'SIGINT'],
    ['wait', 'SIGTERM'],
  ] as const)('does not outlive the process that started it (%s %s)', async (way, signal) => {
    const starter = fileURLToPath(new URL('./fixtures/starter.mjs', import.meta.url))
    const child = spawn(process.execPath, [starter, join(folder.path, `${way}${signal}`), way], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exit = once(child, 'exit')
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const pid = Number(line)
    if (signal !== undefined) child.kill(signal)
    expect(await exit).toEqual(signal === undefined ? [0, null] : [null, signal])
    await waitUntil(() => !isAlive(pid), { what: 'the end of the daemon' })
  })
})

describe('waiting', () => {
  test('ends with an error when what is waited for does not come', async () => {
    const wait = waitUntil(() => undefined, { what: 'Godot', timeoutMs: 1, everyMs: 1 })
    await expect(wait).rejects.toMatchObject({ code: 'lab-timeout', data: { what: 'Godot' } })
  })
})
