/**
 * The yardstick: how many signatures a second this machine verifies, here and now, in one thread and with nothing else. A node can do no
 * better than that with its one-put transactions, so a rate of puts as a share of it says the same on any machine.
 */
import process from 'node:process'
import { keyPairFromSeed, seedBytes, signMessage, verifySignature } from '@kvchain/node/crypto/sodium'
import { systemRuntime } from '@kvchain/node/runtime/runtime'
import { BenchError } from './errors.js'

const MESSAGE_BYTES = 200
const MESSAGES = 64
const DURATION_MS = 700

export function measureVerifyRate(): number {
  return measureVerify().perSecond
}

/** The same, and by the CPU time that it took, which other work on the machine disturbs less. */
export function measureVerify(): { readonly perSecond: number; readonly perCpuSecond: number } {
  const { random, clock } = systemRuntime()
  const { publicKey, secretKey } = keyPairFromSeed(random.bytes(seedBytes))
  const signed = Array.from({ length: MESSAGES }, () => {
    const message = random.bytes(MESSAGE_BYTES)
    return { message, signature: signMessage(message, secretKey) }
  })
  const startMs = clock.monotonicMs()
  const startCpu = process.cpuUsage()
  let verified = 0
  for (;;) {
    for (const { message, signature } of signed) {
      if (!verifySignature(signature, message, publicKey)) {
        throw new BenchError('bench-failed', 'a good signature was not verified')
      }
    }
    verified += MESSAGES
    const elapsedMs = clock.monotonicMs() - startMs
    if (elapsedMs < DURATION_MS) continue
    const { user, system } = process.cpuUsage(startCpu)
    return { perSecond: (verified * 1000) / elapsedMs, perCpuSecond: (verified * 1e6) / (user + system) }
  }
}
