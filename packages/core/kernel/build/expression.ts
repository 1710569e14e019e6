/**
 * The expressions of Kconfig (Documentation/kbuild/kconfig-language.rst, "Menu dependencies") over three values and one more: what a compiler
 * or a script would have to be asked for is unknown. Pure; never throws.
 */

export type Expression =
  | { is: 'symbol'; name: string }
  | { is: 'text'; quoted: string }
  | { is: 'unknown'; text: string }
  | { is: 'not'; of: Expression }
  | { is: 'and' | 'or'; parts: readonly [Expression, Expression] }
  | { is: 'compare'; how: string; left: string; right: string };

export type Tristate = 'n' | 'm' | 'y' | 'unknown';

const MAX_CHARS = 4_000;
const MAX_DEPTH = 100;

const TOKEN = /\s*(\$\((?:[^()]|\([^()]*\))*\)|"(?:[^"\\]|\\.)*"|'[^']*'|&&|\|\||!=|<=|>=|[=<>!()]|[A-Za-z0-9_./-]+)/y;

export function parseExpression(text: string): Expression {
  const strange: Expression = { is: 'unknown', text: text.slice(0, 200) };
  if (text.length > MAX_CHARS) return strange;
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; text.slice(at).trim() !== ''; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) return strange;
    tokens.push(token);
  }
  const parser = new Parser(tokens);
  const expression = parser.or(0);
  return expression === null || !parser.done ? strange : expression;
}

/** How a name, a number, a text or a question to a program begins. */
const OPERAND = /^(?:[A-Za-z0-9_./"'-]|\$\()/;

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }
  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }
  or(depth: number): Expression | null {
    return this.#chain('||', 'or', depth, () => this.#chain('&&', 'and', depth, () => this.#one(depth)));
  }
  #chain(operator: string, is: 'and' | 'or', depth: number, part: () => Expression | null): Expression | null {
    let left = part();
    while (left !== null && this.#tokens[this.#at] === operator && depth < MAX_DEPTH) {
      this.#at++;
      const right = part();
      left = right === null ? null : { is, parts: [left, right] };
    }
    return left;
  }
  #one(depth: number): Expression | null {
    const token = this.#tokens[this.#at++];
    if (token === undefined || depth >= MAX_DEPTH) return null;
    if (token === '!') {
      const of = this.#one(depth + 1);
      return of === null ? null : { is: 'not', of };
    }
    if (token === '(') {
      const inner = this.or(depth + 1);
      return this.#tokens[this.#at++] === ')' ? inner : null;
    }
    if (!OPERAND.test(token)) return null;
    const how = this.#tokens[this.#at];
    if (how !== undefined && /^(?:!?=|[<>]=?)$/.test(how)) {
      this.#at++;
      const right = this.#tokens[this.#at++];
      return right === undefined || !OPERAND.test(right) ? null : { is: 'compare', how, left: token, right };
    }
    if (token.startsWith('$(')) return { is: 'unknown', text: token };
    return /^["']/.test(token) ? { is: 'text', quoted: token } : { is: 'symbol', name: token };
  }
}

/** What stands in a configuration for an option; undefined when it is not named. */
export type Setting = (option: string) => string | undefined;

const RANK: Record<Tristate, number> = { n: 0, m: 1, y: 2, unknown: 1 };

export function valueOf(expression: Expression, setting: Setting): Tristate {
  switch (expression.is) {
    case 'symbol':
      return tristateOf(expression.name, setting);
    case 'text': {
      const text = expression.quoted.slice(1, -1);
      return text === 'y' || text === 'm' ? text : 'n';
    }
    case 'unknown':
      return 'unknown';
    case 'not': {
      const of = valueOf(expression.of, setting);
      return of === 'y' ? 'n' : of === 'n' ? 'y' : of;
    }
    case 'and':
    case 'or': {
      const [a, b] = [valueOf(expression.parts[0], setting), valueOf(expression.parts[1], setting)];
      const decides = expression.is === 'and' ? 'n' : 'y';
      if (a === decides || b === decides) return decides;
      if (a === 'unknown' || b === 'unknown') return 'unknown';
      return (expression.is === 'and') === RANK[a] < RANK[b] ? a : b;
    }
    case 'compare':
      return compared(expression, setting);
  }
}

function tristateOf(name: string, setting: Setting): Tristate {
  if (name === 'y' || name === 'm' || name === 'n') return name;
  const value = setting(name);
  return value === 'y' || value === 'm' ? value : 'n';
}

function compared({ how, left, right }: Expression & { is: 'compare' }, setting: Setting): Tristate {
  const word = (token: string): string | null => {
    if (token.startsWith('$(')) return null;
    if (/^["']/.test(token)) return token.slice(1, -1);
    return setting(token) ?? (/^[A-Z]/.test(token) ? 'n' : token);
  };
  const [a, b] = [word(left), word(right)];
  if (a === null || b === null) return 'unknown';
  const order =
    a !== '' && b !== '' && Number.isFinite(Number(a)) && Number.isFinite(Number(b)) ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0;
  const holds: Record<string, boolean> = {
    '=': order === 0,
    '!=': order !== 0,
    '<': order < 0,
    '>': order > 0,
    '<=': order <= 0,
    '>=': order >= 0,
  };
  return holds[how] === true ? 'y' : 'n';
}

/**
 * Why an expression does not reach `least`: the parts that would have to be otherwise, as words such as `PCI is off`. Empty when it does, or
 * when nobody can tell.
 */
export function lackingIn(expression: Expression, setting: Setting, least: 'm' | 'y'): string[] {
  const value = valueOf(expression, setting);
  if (value === 'unknown' || RANK[value] >= RANK[least]) return [];
  switch (expression.is) {
    case 'symbol':
      return [value === 'm' ? `${expression.name} is a module` : `${expression.name} is off`];
    case 'not':
      return [expression.of.is === 'symbol' ? `${expression.of.name} is on` : `${wordsOf(expression)} does not hold`];
    case 'and':
      return expression.parts.flatMap((part) => lackingIn(part, setting, least));
    case 'or': {
      const [left, right] = expression.parts.map((part) => lackingIn(part, setting, least).join(' and '));
      return [`${left ?? ''} and ${right ?? ''}, one of which would do`.replaceAll(', one of which would do and', ' and')];
    }
    case 'text':
    case 'unknown':
    case 'compare':
      return [`${wordsOf(expression)} does not hold`];
  }
}

export function wordsOf(expression: Expression): string {
  switch (expression.is) {
    case 'symbol':
      return expression.name;
    case 'text':
      return expression.quoted;
    case 'unknown':
      return expression.text;
    case 'not':
      return expression.of.is === 'and' || expression.of.is === 'or' ? `!(${wordsOf(expression.of)})` : `!${wordsOf(expression.of)}`;
    case 'and':
    case 'or':
      return expression.parts
        .map((part) => (part.is === 'or' && expression.is === 'and' ? `(${wordsOf(part)})` : wordsOf(part)))
        .join(expression.is === 'and' ? ' && ' : ' || ');
    case 'compare':
      return `${expression.left}${expression.how}${expression.right}`;
  }
}
