/**
 * Command lines as words, well enough to see which program is called with which address and port: quotes, `;` `&&` `|`, simple variables with
 * their defaults. Pure. It runs nothing and promises nothing about control flow.
 */

const mostWords = 256;
const mostCommands = 2000;

/** The simple commands of a shell text, each as words, with its line. */
export function shellCommands(text: string): { words: string[]; line: number }[] {
  const variables = new Map<string, string>();
  const commands: { words: string[]; line: number }[] = [];
  let open = '';
  text.split('\n').forEach((raw, index) => {
    const row = `${open}${raw.trim()}`;
    if (row.startsWith('#')) return;
    if (row.endsWith('\\') && row.length < 8192) {
      open = `${row.slice(0, -1)} `;
      return;
    }
    open = '';
    for (const part of splitWords(row)) {
      const words = [...part];
      while (words[0] !== undefined && /^[A-Za-z_]\w*=/.test(words[0])) {
        const [name = '', ...value] = words[0].split('=');
        variables.set(name, filled(value.join('='), variables));
        words.shift();
      }
      if (words.length > 0 && commands.length < mostCommands) {
        commands.push({ words: words.map((word) => filled(word, variables)), line: index + 1 });
      }
    }
  });
  return commands;
}

/** One command line of systemd or an inittab, without a shell: no separators, quotes as in a shell. */
export function plainWords(text: string): string[] {
  return splitWords(text, false)[0] ?? [];
}

function splitWords(row: string, separators = true): string[][] {
  const commands: string[][] = [[]];
  let word: string | null = null;
  let quote = '';
  const end = (): void => {
    const last = commands.at(-1);
    if (word !== null && last !== undefined && last.length < mostWords) last.push(word);
    word = null;
  };
  for (let at = 0; at < row.length; at++) {
    const letter = row.charAt(at);
    if (quote !== '') {
      if (letter === quote) quote = '';
      else word = `${word ?? ''}${letter === '\\' && quote === '"' ? row.charAt(++at) : letter}`;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= '';
    } else if (letter === '\\') word = `${word ?? ''}${row.charAt(++at)}`;
    else if (/\s/.test(letter)) end();
    else if (separators && letter === '#' && word === null) break;
    // `&` in `2>&1` and `>&2` ends nothing
    else if (separators && (/[;|(){}]/.test(letter) || (letter === '&' && !/[<>]/.test(row.charAt(at - 1)))) && !inExpansion(row, at)) {
      end();
      commands.push([]);
    } else word = `${word ?? ''}${letter}`;
  }
  end();
  return commands.filter((words) => words.length > 0);
}

/** Whether a brace belongs to `${…}`. */
function inExpansion(row: string, at: number): boolean {
  const letter = row.charAt(at);
  if (letter === '{') return row.charAt(at - 1) === '$';
  return letter === '}' && /\$\{[^{}\s]*$/.test(row.slice(Math.max(0, at - 200), at));
}

/** `$NAME`, `${NAME}`, `${NAME:-default}`; a name without a known value takes its default, or stays as it is. */
function filled(word: string, variables: ReadonlyMap<string, string>): string {
  return word
    .replaceAll(/\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?[-=]([^{}]*))?\})/g, (whole, plain?: string, braced?: string, usual?: string) => {
      const value = variables.get(plain ?? braced ?? '');
      return value !== undefined && !value.includes('$(') && value !== '' ? value : (usual ?? whole);
    })
    .slice(0, 2048);
}
