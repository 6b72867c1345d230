/** Runs the daemon: settings in, a node started, a banner, and an end in good order. */
import '@kvchain/node/net/polyfill'
import { mkdir } from 'node:fs/promises'
import { checkSocketPath, defaultSocketPath } from '@kvchain/client/socketPath'
import type { Network } from '@kvchain/core/params'
import { readNetwork } from '@kvchain/node/networkFile'
import { KvNode, type NodeOptions } from '@kvchain/node/node'
import { OptionsError } from '@kvchain/node/runtime/errors'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { defaultDataDir, readVersion } from '../paths.js'
import { print } from '../terminal.js'
import { banner } from './banner.js'
import { Ending } from './ending.js'
import { armedFailpoints } from './failpoint.js'
import { makeLog } from './log.js'
import type { Settings } from './settings.js'

/** Resolves once the daemon is ready, or has been told to end before. Throws when it cannot start. */
export async function runDaemon(settings: Settings): Promise<void> {
  const network = await readNetwork(settings.network)
  const options = await nodeOptions(settings, network)
  const { log, release, fail } = makeLog(settings)
  const fatal: { handle: (error: unknown) => void } = { handle: () => {} }
  const node = new KvNode(options, {
    runtime: systemRuntime(log),
    onFatal: (error) => fatal.handle(error),
    failpoints: armedFailpoints(process.env),
  })
  const started = node.start()
  const ending = new Ending(node, started, log)
  fatal.handle = (error) => ending.onFatal(error)
  process.on('SIGINT', (signal) => ending.onSignal(signal))
  process.on('SIGTERM', (signal) => ending.onSignal(signal))
  process.on('uncaughtException', (error) => ending.onFatal(error))
  process.on('unhandledRejection', (error) => ending.onFatal(error))
  node.onStopRequest(() => ending.onRequest())
  try {
    await started
    release()
  } catch (error) {
    fail()
    // Called off, it has nothing to complain about.
    if (ending.hasBegun) return
    throw error
  }
  const { summary } = node
  if (ending.hasBegun || summary === undefined) return
  print(
    banner({
      version: readVersion(),
      summary,
      options,
      network: settings.network,
      clientFlags: clientFlags(settings, options, network),
      script: process.argv[1] ?? '',
      cwd: process.cwd(),
    }),
  )
}

async function nodeOptions(settings: Settings, network: Network): Promise<NodeOptions> {
  const dataDir = settings.dataDir ?? defaultDataDir(network.name)
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new OptionsError(`the data folder ${dataDir} cannot be made: ${why}`, error)
  }
  return {
    network,
    dataDir,
    listen: settings.listen ?? network.policy.listen,
    bootstrap: settings.bootstrap,
    mdns: settings.mdns,
    announce: settings.announce ?? [],
    relays: settings.relay ?? [],
    relayService: settings.relayService ?? false,
    peerExchange: settings.peerExchange,
    allow: settings.allow ?? [],
    deny: settings.deny ?? [],
    psk: settings.psk,
    mine: settings.mine === 'default' ? network.policy.mining : settings.mine,
    minerThreads: settings.minerThreads,
    rpcSocket: settings.rpcSocket === undefined ? defaultSocketPath(dataDir) : checkSocketPath(settings.rpcSocket),
    ...(settings.rpcRate === undefined ? {} : { rpcRate: settings.rpcRate }),
    ...(settings.reorgAlarm === undefined ? {} : { reorgAlarmDepth: settings.reorgAlarm }),
    ...(settings.http && { http: { ...settings.http, allowRemote: settings.httpAllowRemote ?? false } }),
  }
}

/** What kvchain-cli must be told to find this daemon. */
function clientFlags(settings: Settings, { dataDir, rpcSocket }: NodeOptions, network: Network): string {
  if (settings.rpcSocket !== undefined) return ` --rpc-socket ${quoted(rpcSocket)}`
  return dataDir === defaultDataDir(network.name) ? '' : ` --data-dir ${quoted(dataDir)}`
}

function quoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
