/**
 * Completion for shells: scripts made from the tree of commands itself, so that they know what the program knows. Owns the scripts; the tree is the
 * program's. zsh runs the script of bash, by its own bashcompinit.
 */
import type { Command, Option } from 'commander'
import { LOG_FORMATS, LOG_LEVELS } from './daemon/settings.js'

const ENCODINGS = ['utf8', 'hex', 'base64']
/** What an option may be given, where that is a list. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  '--network': ['dev', 'lan', 'public'],
  '--log-level': LOG_LEVELS,
  '--log-format': LOG_FORMATS,
  '--encoding': ENCODINGS,
  '--key-encoding': ENCODINGS,
}

/** The script for bash, zsh or fish. */
export function completionScript(program: Command, shell: string): string {
  if (shell === 'fish') return fishScript(program)
  const script = bashScript(program)
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script
}

/** A command and the words that lead to it: ` db check`. */
interface Place {
  readonly path: string
  readonly command: Command
}

function places(command: Command, path = ''): Place[] {
  const below = command.commands.flatMap((child) => places(child, `${path} ${child.name()}`))
  return [{ path, command }, ...below]
}

function optionsOf(command: Command): Option[] {
  return [...command.options].filter(({ hidden, long }) => !hidden && long !== undefined && long !== null)
}

/** What may follow: commands, options, and the choices of an argument. */
function wordsAt({ command }: Place): string[] {
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])
  const options = optionsOf(command).map(({ long }) => long ?? '')
  return [...command.commands.map((child) => child.name()), ...choices, ...options, '--help']
}

/** Without file names where a list is known; an option that takes anything else is followed by those of the shell. */
function bashScript(program: Command): string {
  const name = program.name()
  const all = places(program)
  const steps = all.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`)
  const taking = new Set(
    all
      .flatMap(({ command }) => optionsOf(command))
      .filter(({ required }) => required)
      .map(({ long }) => long ?? ''),
  )
  const listed = [...taking].filter((long) => VALUES[long] !== undefined)
  const free = [...taking].filter((long) => VALUES[long] === undefined)
  const fn = `_${name.replaceAll('-', '_')}`
  return `${fn}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path= words= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
      ${steps.join('|')}) path="$path $word" ;;
    esac
  done
  case "$prev" in
${listed.map((long) => `    ${long}) words="${VALUES[long]?.join(' ')}" ;;`).join('\n')}
    ${free.length === 0 ? '--' : free.join('|')}) COMPREPLY=(); return ;;
    *) case "$path" in
${all.map((place) => `      "${place.path}") words="${wordsAt(place).join(' ')}" ;;`).join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F ${fn} ${name}
`
}

function fishScript(program: Command): string {
  const name = program.name()
  const lines = places(program).flatMap((place) => {
    const { command, path } = place
    const steps = path.split(' ').filter((word) => word !== '')
    const seen = steps.map((word) => `__fish_seen_subcommand_from ${word}`)
    const below = command.commands.map((child) => child.name())
    const none = below.length === 0 ? [] : [`not __fish_seen_subcommand_from ${below.join(' ')}`]
    const condition = [...seen, ...none].join('; and ')
    const start = `complete -c ${name}${condition === '' ? '' : ` -n ${quoted(condition)}`}`
    const children = command.commands.map((child) => `${start} -f -a ${child.name()} -d ${quoted(child.description())}`)
    const options = optionsOf(command).map((option) => {
      const values = VALUES[option.long ?? '']
      const value = option.required ? ` -r${values === undefined ? '' : ` -f -a ${quoted(values.join(' '))}`}` : ''
      return `${start} -l ${(option.long ?? '').replace('--', '')}${value} -d ${quoted(option.description)}`
    })
    const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])
    return [...children, ...options, ...choices.map((choice) => `${start} -f -a ${choice}`)]
  })
  return `${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
