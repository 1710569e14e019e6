import { command, type Command } from '../command.ts';

/** Pure: a completion made from the commands themselves; it asks no controller and starts nothing. */
export function bashCompletion(commands: readonly Command[]): string {
  const nouns = [...new Set(commands.map(({ path }) => path[0]))];
  const cases = commands.map(
    ({ path, options }) =>
      `    "${path.join(' ')}") words="${['--json', '--url', '--state', '--help', ...Object.values(options).map((one) => one.flag.split(' ')[0] ?? '')].join(' ')}" ;;`,
  );
  const verbs = nouns.map((noun) => {
    const list = commands.flatMap(({ path }) => (path[0] === noun && path[1] !== undefined ? [path[1]] : []));
    return list.length === 0 ? null : `      ${noun}) words="${list.join(' ')}" ;;`;
  });
  return `# bash completion of linstock; to use it:  source <(linstock completion bash)
_linstock() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=""
  case "\${COMP_WORDS[1]-} \${COMP_WORDS[2]-}" in
${cases.filter((_, index) => commands[index]?.path.length === 2).join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${nouns.join(' ')}"
  elif [ -z "$words" ] || [ "$COMP_CWORD" -eq 2 ]; then
    case "\${COMP_WORDS[1]}" in
${verbs.filter((one) => one !== null).join('\n')}
    esac
    case "\${COMP_WORDS[1]}" in
${cases.filter((_, index) => commands[index]?.path.length === 1).join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _linstock linstock ./linstock`;
}

/** The list it completes is that of main.ts, itself included. */
export function completionCommand(all: () => readonly Command[]): Command {
  return command({
    path: ['completion', 'bash'],
    summary: 'Print a bash completion',
    args: {},
    options: {},
    async run(_, { out }) {
      const script = bashCompletion(all());
      await out.answer({ script }, () => [script]);
    },
  });
}
