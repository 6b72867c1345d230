/** The failpoint that KVCHAIN_FAILPOINT names, if it does: `name`, or `name:nth`. For tests of crashes, and for nothing else. */
import { armFailpoint, type Failpoints, NO_FAILPOINTS } from '@kvchain/node/runtime/failpoints'
import { remark } from '../terminal.js'

/** Throws OptionsError when it names none. */
export function armedFailpoints(env: Readonly<Record<string, string | undefined>>): Failpoints {
  const text = env.KVCHAIN_FAILPOINT
  if (text === undefined || text === '') return NO_FAILPOINTS
  return armFailpoint(text, (name) => {
    remark(`kvchain: ends at failpoint ${name}`)
    // As a power cut would: nothing is flushed, nobody is told.
    process.kill(process.pid, 'SIGKILL')
  })
}
