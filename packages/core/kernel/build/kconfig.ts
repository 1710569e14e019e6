/**
 * The Kconfig files of a kernel: which options there are, what each depends on, who selects it. As much as it takes to say why an option is
 * not as it was asked for (Documentation/kbuild/kconfig-language.rst). Pure; never throws; what is not understood is passed over.
 */
import { parseExpression } from './expression.ts';
import type { Expression } from './expression.ts';

/** One `config` block; an option may have several. */
export type Definition = {
  option: string;
  file: string;
  type: 'bool' | 'tristate' | 'int' | 'hex' | 'string' | null;
  /** null: nobody is asked; the expression is that behind `if` */
  prompt: { when: Expression | null } | null;
  /** its own and those of everything around it */
  depends: readonly Expression[];
  selects: readonly { option: string; when: Expression | null }[];
  range: string | null;
  /** which choice it stands in */
  choice: number | null;
};

export type Kconfig = {
  definitions: ReadonlyMap<string, readonly Definition[]>;
  selectors: ReadonlyMap<string, readonly { by: string; when: Expression | null }[]>;
  /** of a choice, all its options */
  choices: readonly (readonly string[])[];
};

const MAX_FILES = 10_000;
const MAX_LINES = 2_000_000;
const MAX_LINE = 4_096;
const MAX_NESTING = 200;

/** What stands around an option: an `if`, a `menu`, a `choice`; files that are sourced inherit it. */
type Around = { kind: 'if' | 'menu' | 'choice'; depends: Expression[]; choice: number | null };

/** `text`: the content of a file by its path in the source tree. `arch`: what $(SRCARCH) stands for. */
export function readKconfig(text: (path: string) => string | undefined, arch: string, root = 'Kconfig'): Kconfig {
  const reader = new Reader(text, arch);
  reader.file(root);
  return reader.result();
}

class Reader {
  readonly #text: (path: string) => string | undefined;
  readonly #arch: string;
  readonly #definitions = new Map<string, Draft[]>();
  readonly #choices: string[][] = [];
  readonly #around: Around[] = [];
  #files = 0;
  #lines = 0;
  #depth = 0;

  constructor(text: (path: string) => string | undefined, arch: string) {
    this.#text = text;
    this.#arch = arch;
  }

  file(path: string): void {
    const text = this.#files++ < MAX_FILES && this.#depth < MAX_NESTING ? this.#text(path) : undefined;
    if (text === undefined) return;
    this.#depth++;
    let draft: Draft | null = null;
    let help: { indent: number | null } | null = null;
    for (const raw of joined(text)) {
      if (this.#lines++ > MAX_LINES) break;
      if (help !== null) {
        if (raw.trim() === '') continue;
        const indent = indentOf(raw);
        help.indent ??= indent;
        if (indent > 0 && indent >= help.indent) continue;
        help = null;
      }
      const line = withoutComment(raw.slice(0, MAX_LINE)).trim();
      const [, word = '', rest = ''] = /^([\w-]+)\s*(.*)$/.exec(line) ?? [];
      if (word === 'help' || line === '---help---') help = { indent: null };
      else if (word === 'source' || word === 'rsource' || word === 'osource' || word === 'orsource') this.file(this.#path(rest));
      else if (word === 'config' || word === 'menuconfig') draft = this.#begin(rest, path);
      else if (word === 'comment') draft = this.#draft('', path, null); // what it depends on is its own business
      else if (this.#structure(word, rest)) draft = null;
      else if (draft !== null) attribute(draft, word, rest);
      else if (word === 'depends') this.#around.at(-1)?.depends.push(parseExpression(rest.replace(/^on\s+/, '')));
      else if (word === 'visible') this.#around.at(-1)?.depends.push(parseExpression(rest.replace(/^if\s+/, '')));
    }
    this.#depth--;
  }

  #path(rest: string): string {
    return rest.replaceAll(/^"|"$/g, '').replaceAll(/\$\(SRCARCH\)|\$SRCARCH/g, this.#arch);
  }

  #begin(name: string, file: string): Draft | null {
    if (!/^\w{1,200}$/.test(name)) return null;
    const choice = this.#around.findLast(({ kind }) => kind === 'choice')?.choice ?? null;
    if (choice !== null) this.#choices[choice]?.push(name);
    const draft = this.#draft(name, file, choice);
    this.#definitions.set(name, [...(this.#definitions.get(name) ?? []), draft]);
    return draft;
  }

  #draft(option: string, file: string, choice: number | null): Draft {
    return { option, file, type: null, prompt: null, around: [...this.#around], depends: [], selects: [], range: null, choice };
  }

  /** Whether the line opens or closes something. */
  #structure(word: string, rest: string): boolean {
    const open = (kind: Around['kind'], depends: Expression[] = [], choice: number | null = null): void => {
      if (this.#around.length < MAX_NESTING) this.#around.push({ kind, depends, choice });
    };
    switch (word) {
      case 'if':
        open('if', [parseExpression(rest)]);
        return true;
      case 'menu':
        open('menu');
        return true;
      case 'choice':
        open('choice', [], this.#choices.push([]) - 1);
        return true;
      case 'endif':
      case 'endmenu':
      case 'endchoice':
        if (this.#around.at(-1)?.kind === word.slice('end'.length)) this.#around.pop();
        return true;
      case 'mainmenu':
        return true;
      default:
        return false;
    }
  }

  result(): Kconfig {
    const definitions = new Map<string, Definition[]>();
    const selectors = new Map<string, { by: string; when: Expression | null }[]>();
    for (const [option, drafts] of this.#definitions) {
      definitions.set(
        option,
        drafts.map(({ around, depends, ...draft }) => ({ ...draft, depends: [...around.flatMap((one) => one.depends), ...depends] })),
      );
      for (const { selects } of drafts)
        for (const { option: selected, when } of selects)
          selectors.set(selected, [...(selectors.get(selected) ?? []), { by: option, when }]);
    }
    return { definitions, selectors, choices: this.#choices };
  }
}

type Draft = {
  option: string;
  file: string;
  type: Definition['type'];
  prompt: Definition['prompt'];
  around: readonly Around[];
  depends: Expression[];
  selects: { option: string; when: Expression | null }[];
  range: string | null;
  choice: number | null;
};

function attribute(draft: Draft, word: string, rest: string): void {
  const [, quoted, behind = ''] = /^("(?:[^"\\]|\\.)*"|'[^']*')\s*(.*)$/.exec(rest) ?? [];
  const asked = (): void => {
    const when = /^if\s+(.*)$/.exec(behind)?.[1];
    draft.prompt = { when: when === undefined ? null : parseExpression(when) };
  };
  switch (word) {
    case 'bool':
    case 'tristate':
    case 'int':
    case 'hex':
    case 'string':
      draft.type = word;
      if (quoted !== undefined) asked();
      return;
    case 'def_bool':
      draft.type = 'bool';
      return;
    case 'def_tristate':
      draft.type = 'tristate';
      return;
    case 'prompt':
      if (quoted !== undefined) asked();
      return;
    case 'depends':
      draft.depends.push(parseExpression(rest.replace(/^on\s+/, '')));
      return;
    case 'select': {
      const [, option, when] = /^(\w+)(?:\s+if\s+(.*))?$/.exec(rest) ?? [];
      if (option !== undefined) draft.selects.push({ option, when: when === undefined ? null : parseExpression(when) });
      return;
    }
    case 'range':
      draft.range = rest;
      return;
    default:
      return; // default, imply, option, modules: they play no part in why something cannot be
  }
}

/** Lines, those that end with a backslash joined with the next. */
function* joined(text: string): Generator<string> {
  let before = '';
  for (const line of text.split('\n')) {
    if (line.endsWith('\\')) {
      if (before.length < MAX_LINE) before += `${line.slice(0, -1)} `;
      continue;
    }
    yield before + line;
    before = '';
  }
}

function indentOf(line: string): number {
  let columns = 0;
  for (const char of line) {
    if (char === ' ') columns++;
    else if (char === '\t') columns += 8 - (columns % 8);
    else break;
  }
  return columns;
}

function withoutComment(line: string): string {
  if (!line.includes('#')) return line;
  return /^((?:[^"'#]|"(?:[^"\\]|\\.)*"|'[^']*')*)#/.exec(line)?.[1] ?? line;
}
