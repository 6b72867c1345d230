/** The command that prints a script for completion by a shell. The scripts are completionScript.ts's, which is loaded only when one is asked for. */
import { Argument, type Command } from 'commander'
import { EXIT_CODE_HELP } from './parsing.js'
import { print } from './terminal.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Adds the command `completion` to a program. */
export function addCompletion(program: Command): void {
  const name = program.name()
  program
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  ${name} completion bash > ~/.local/share/bash-completion/completions/${name}
  source <(${name} completion zsh)
  ${name} completion fish > ~/.config/fish/completions/${name}.fish

${EXIT_CODE_HELP}`,
    )
    .action(async (shell: string) => {
      const { completionScript } = await import('./completionScript.js')
      print(completionScript(program, shell))
    })
}
