/** Progress is told now and then, with rate and time left of the work at hand. */
import { type Progress, ProgressTeller } from '@kvchain/node/progress'
import { expect, test } from 'vitest'

test('it is told at intervals, each work with its own rate', () => {
  let nowMs = 0
  const told: Progress[] = []
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }
  const teller = new ProgressTeller(clock, 1_000, (progress) => told.push(progress))
  for (let done = 0; done <= 100; done += 10, nowMs += 250) teller.note('files', done, 200)
  expect(told).toEqual([
    { what: 'files', done: 40, of: 200, perSecond: 40, secondsLeft: 4 },
    { what: 'files', done: 80, of: 200, perSecond: 40, secondsLeft: 3 },
  ])
  teller.note('headers', 0)
  nowMs += 2_000
  teller.note('headers', 500)
  expect(told.slice(2)).toEqual([{ what: 'headers', done: 500, perSecond: 250 }])
})
