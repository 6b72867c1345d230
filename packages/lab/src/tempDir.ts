/** Folders for experiments: private, with a short path (a socket must fit into it), gone when all went well. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class TempDir {
  private constructor(readonly path: string) {}

  /** Makes a new folder for temporary files, mode 0700. */
  static async make(purpose = 'lab'): Promise<TempDir> {
    return new TempDir(await mkdtemp(join(tmpdir(), `kvchain-${purpose}-`)))
  }

  /** Removes the folder with all that is in it. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 })
  }
}
