/** Health and readiness, for whatever starts and watches the daemon. Open to everybody who reaches the server; they tell no secret. */
import type { FastifyInstance } from 'fastify'
import { JSON_TYPE } from './requests.js'

export interface Health {
  /** Height of the tip. */
  height(): number
  isSyncing(): boolean
  /** Connected peers. */
  peers(): number
}

export const HEALTH_PATHS = ['/healthz', '/readyz'] as const

/** The daemon lives while it answers; it is ready when it is not catching up with the network. */
export function addHealthRoutes(app: FastifyInstance, health: Health): void {
  app.get('/healthz', (_, reply) => reply.type(JSON_TYPE).send(JSON.stringify({ status: 'ok' })))
  app.get('/readyz', (_, reply) => {
    const syncing = health.isSyncing()
    const body = { ready: !syncing, syncing, height: health.height(), peers: health.peers() }
    return reply
      .code(syncing ? 503 : 200)
      .type(JSON_TYPE)
      .send(JSON.stringify(body))
  })
}
