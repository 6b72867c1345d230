/**
 * The last step of the build: puts TypeBox's files into the one module that uses them, packages/core/dist/typebox.js. Works on what is there: a module that holds
 * them already stays as it is. Where the bundler does not run (it wants Node.js 20.19) the module does the same, only slower to load.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('../packages/core/dist/typebox.js', import.meta.url))

if (/from ['"]typebox/.test(readFileSync(file, 'utf8'))) {
  try {
    const { rolldown } = await import('rolldown')
    const bundle = await rolldown({ input: file, platform: 'neutral', logLevel: 'silent' })
    await bundle.write({ file, format: 'esm' })
    await bundle.close()
  } catch (error) {
    process.stderr.write(`TypeBox is left in its files, so that programs start slower: ${error.message}\n`)
  }
}
