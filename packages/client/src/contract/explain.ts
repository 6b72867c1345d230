/**
 * Says in one short sentence why a value does not fit a schema. Owns the words, not the check: it picks, from what the validator
 * found, the error that helps most, and names the field as a caller would write it.
 */
import type { TSchema } from 'typebox'
import type { TLocalizedValidationError } from 'typebox/error'
import { PATTERN_HELP } from './schemas.js'

/** Why a value was turned down. */
export interface Problem {
  /** The field, such as `expect.version`; empty when it is the whole. */
  readonly field: string
  /** One sentence, the field included. */
  readonly message: string
}

/** A caller's own text is quoted back, but never at length. */
const MAX_QUOTED = 60

/** `whole` is what to call the value itself. */
export function explain(schema: TSchema, errors: readonly TLocalizedValidationError[], whole: string): Problem {
  // What fails inside an alternative says little: the alternative as a whole is the problem.
  const unions = errors.filter((error) => error.keyword === 'anyOf').map((error) => `${error.schemaPath}/anyOf/`)
  const error = errors.find(
    (candidate) =>
      candidate.keyword !== 'boolean' && !unions.some((branch) => `${candidate.schemaPath}/`.startsWith(branch)),
  )
  if (error === undefined) return { field: '', message: `${whole} is not what the contract says` }
  const path = fieldName(error.instancePath)
  switch (error.keyword) {
    case 'required':
      return problem(join(path, error.params.requiredProperties[0] ?? ''), whole, 'is missing')
    case 'additionalProperties':
      return problem(join(path, error.params.additionalProperties[0] ?? ''), whole, 'is not a field of it')
    case 'maxProperties':
      return problem(path, whole, `must have at most ${error.params.limit} field(s)`)
    case 'type':
      return problem(path, whole, `must be ${typeName(String(error.params.type))}`)
    case 'pattern':
      return problem(path, whole, PATTERN_HELP[String(error.params.pattern)] ?? error.message)
    case 'enum':
      return problem(path, whole, `must be one of ${error.params.allowedValues.join(', ')}`)
    case 'const':
      return problem(path, whole, `must be ${JSON.stringify(error.params.allowedValue)}`)
    case 'minLength':
      return problem(path, whole, error.params.limit === 1 ? 'must not be empty' : `is too short`)
    case 'maxLength':
      return problem(path, whole, `is longer than ${error.params.limit} characters`)
    case 'minimum':
      return problem(path, whole, `must be at least ${error.params.limit}`)
    case 'maximum':
      return problem(path, whole, `must be at most ${error.params.limit}`)
    case 'anyOf': {
      const description = descriptionAt(schema, error.schemaPath)
      return problem(path, whole, description === undefined ? 'has none of its forms' : `must be ${description}`)
    }
    default:
      return problem(path, whole, error.message)
  }
}

function problem(field: string, whole: string, says: string): Problem {
  return { field, message: `${field === '' ? whole : field} ${says}` }
}

function typeName(type: string): string {
  switch (type) {
    case 'integer':
      return 'a whole number'
    case 'object':
      return 'an object, its fields by name'
    case 'array':
      return 'a list'
    case 'boolean':
      return 'true or false'
    default:
      return `a ${type}`
  }
}

/** `/expect/version` becomes `expect.version`. */
function fieldName(pointer: string): string {
  return quote(pointer.split('/').slice(1).join('.'))
}

function join(path: string, name: string): string {
  return quote(path === '' ? name : `${path}.${name}`)
}

function quote(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text
}

/** Follows a `#/properties/...` path to the schema it names. */
function descriptionAt(schema: unknown, path: string): string | undefined {
  let at: unknown = schema
  for (const step of path.split('/').slice(1)) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  if (typeof at !== 'object' || at === null || !('description' in at)) return undefined
  return typeof at.description === 'string' ? at.description : undefined
}
