/** Scenarios drawn from odd seeds; see seeds.ts. A failure names its seed and how to see it again. */
import { playSeeds } from './seeds.js'

playSeeds(1)
