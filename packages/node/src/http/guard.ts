/**
 * Who may come in by HTTP: the token, the Host header and the Origin header. Owns the token file and every reason to turn a request away
 * before anything of it is read; knows no route. A web page in a browser on this machine can send requests here, under names of its own
 * choosing: so the Host must be ours, and an Origin, where there is one, too.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { open, rename } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { OptionsError } from '../runtime/errors.js'
import { hex } from '../runtime/hex.js'
import type { Random } from '../runtime/runtime.js'
import { HttpError } from './errors.js'

export const TOKEN_COOKIE = 'kvchain_token'
const TOKEN_BYTES = 32

/** Makes a new token and leaves it in `file` (mode 0600), whole or not at all. Throws OptionsError. */
export async function writeToken(file: string, random: Random): Promise<string> {
  const token = hex(random.bytes(TOKEN_BYTES))
  const aside = `${file}.${hex(random.bytes(4))}`
  try {
    // Never through a file or link that is there already: the mode would be somebody else's choice.
    const handle = await open(aside, 'wx', 0o600)
    try {
      await handle.writeFile(`${token}\n`)
    } finally {
      await handle.close()
    }
    await rename(aside, file)
  } catch (error) {
    throw new OptionsError(`the HTTP token file ${file} cannot be written`, error)
  }
  return token
}

/** Whether nobody but this machine can reach an address. */
function isLoopback(host: string): boolean {
  return /^127\./.test(host) || host === '::1'
}

/** Why the server may not listen on an address, and what to do; undefined when it may. */
export function listenProblem(host: string, allowRemote: boolean): string | undefined {
  if (isLoopback(host) || allowRemote) return undefined
  return `--http ${host} can be reached by other machines, in clear text: use 127.0.0.1 with a tunnel or a proxy that speaks TLS, or add --http-allow-remote`
}

export interface GuardOptions {
  readonly token: string
  /** The address that the server is bound to, without brackets. */
  readonly host: string
  readonly port: number
}

export class Guard {
  private readonly digest: Uint8Array
  private readonly isLocal: boolean

  constructor(private readonly options: GuardOptions) {
    this.digest = digestOf(options.token)
    this.isLocal = isLoopback(options.host)
  }

  /** Throws HttpError `forbidden` for a request that some other site's page could have made. */
  checkSource({ host, origin }: IncomingHttpHeaders): void {
    if (host === undefined || !this.isOwnHost(host)) {
      throw new HttpError('forbidden', 'the Host header must name this server by its address', {
        header: 'host',
      })
    }
    if (origin === undefined || origin.toLowerCase() === `http://${host.toLowerCase()}`) return
    throw new HttpError('forbidden', 'requests from pages of other sites are refused', { header: 'origin' })
  }

  /** Throws HttpError `unauthorised` for a request without the token. */
  checkToken(headers: IncomingHttpHeaders): void {
    const token = bearerOf(headers) ?? cookieOf(headers)
    if (token !== undefined && timingSafeEqual(digestOf(token), this.digest)) return
    const message =
      token === undefined
        ? 'send the token of the cookie file: Authorization: Bearer TOKEN'
        : 'this is not the token: every start of the daemon makes a new one'
    throw new HttpError('unauthorised', message)
  }

  /** Whether the figures for monitoring may be read without the token: only where nobody else can reach them. */
  get areMetricsOpen(): boolean {
    return this.isLocal
  }

  /**
   * On loopback: one of its names, with our port. Elsewhere any address will do, whatever port a container or router gave it; but a name
   * only if it is this machine's, for a foreign name can be made to mean our address.
   */
  private isOwnHost(header: string): boolean {
    const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(header)
    if (match === null) return false
    const name = (match[1] ?? match[2] ?? '').toLowerCase()
    const isLocalName = name === 'localhost' || name === this.options.host || name === '127.0.0.1' || name === '::1'
    if (this.isLocal) return isLocalName && Number(match[3] ?? 80) === this.options.port
    return isLocalName || isIP(name) !== 0 || name === hostname().toLowerCase()
  }
}

function bearerOf({ authorization }: IncomingHttpHeaders): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
}

function cookieOf({ cookie }: IncomingHttpHeaders): string | undefined {
  const prefix = `${TOKEN_COOKIE}=`
  const found = (cookie ?? '').split(';').find((part) => part.trim().startsWith(prefix))
  return found?.trim().slice(prefix.length)
}

/** Of one length whatever the text, so that comparing takes the same time. */
function digestOf(token: string): Uint8Array {
  return createHash('sha256').update(token).digest()
}
