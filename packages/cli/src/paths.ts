/** Where things are on this machine: data folders, and the version of what runs. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** The folder that holds a data folder for each network. */
export function dataHome(): string {
  return join(homedir(), '.kvchain')
}

export function defaultDataDir(networkName: string): string {
  return join(dataHome(), networkName)
}

/** `~/` means the home folder in files and variables too, where no shell has replaced it; other paths go from `base`. */
export function resolvePath(path: string, base: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(base, path)
}

export function readVersion(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return typeof json === 'object' && json !== null && 'version' in json ? String(json.version) : 'unknown'
}
