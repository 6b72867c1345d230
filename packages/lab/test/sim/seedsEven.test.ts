/** Scenarios drawn from even seeds; see seeds.ts. A failure names its seed and how to see it again. */
import { playSeeds } from './seeds.js'

playSeeds(0)
