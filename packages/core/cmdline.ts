import type { Wiring } from './wiring.ts';

/**
 * Boot arguments: tokens as the Linux kernel takes them apart, a template with placeholders, a caller's changes to it.
 *
 * Promises: what `resolveArgs` lets pass is printable ASCII, is taken by the kernel as the very tokens it was written as, names each key
 * once, and fits the kernel's buffer. Everything else is refused before anything starts, with a sentence that names the token: an argument
 * that is dropped, cut or overruled in silence makes every test of it void, and nobody notices.
 *
 * Sources: lib/cmdline.c (next_arg), kernel/params.c (parse_args, parameq), arch/x86/include/asm/setup.h (COMMAND_LINE_SIZE).
 */

/** One token: `text` as written, key and value as the kernel sees them (quotes around the value are gone). */
export type BootToken = { text: string; key: string; value: string | null };

export type CommandLine = {
  /** parameters of the kernel */
  kernel: readonly BootToken[];
  /** what follows a bare `--`; the kernel hands it to init and looks at none of it. null: there is no `--` */
  init: readonly BootToken[] | null;
};

export type BootArgProblem = {
  code:
    | 'empty'
    | 'control-character'
    | 'non-ascii'
    | 'unbalanced-quote'
    | 'unquoted-space'
    | 'no-key'
    | 'placeholder'
    | 'broken-value'
    | 'doubled-key'
    | 'key-exists'
    | 'key-absent'
    | 'not-a-key'
    | 'token-too-long'
    | 'line-too-long';
  token: string;
  /** what, why, and what to do */
  says: string;
};
/** `problems` are the sentences of `details`, ready to be told. */
export type BootArgsResult =
  | { is: 'ok'; tokens: readonly string[] }
  | { is: 'wrong'; problems: readonly string[]; details: readonly BootArgProblem[] };

const wrong = (details: readonly BootArgProblem[]): BootArgsResult => ({ is: 'wrong', problems: details.map((d) => d.says), details });
const ok = (tokens: readonly string[]): BootArgsResult => ({ is: 'ok', tokens });

export type BootArgChanges = { add: readonly string[]; replace: readonly string[]; remove: readonly string[] };

/** What placeholders stand for: facts of the lease. */
export type BootArgValues = { address: string; gateway: string; netmask: string; prefix: number; mac: string; vm: string };

/** The values of one lease; `vm` is how the guest may call itself. */
export function valuesFor(wiring: Wiring, vm: string): BootArgValues {
  const { address, gateway, netmask, prefix, mac } = wiring;
  return { address, gateway, netmask, prefix, mac, vm };
}

/** COMMAND_LINE_SIZE is 2048 on x86-64 and counts the NUL; the rest would be cut off in silence. */
export const mostLineBytes = 2_047;
/** No real argument is longer; a longer one is something pasted, and it would eat the line's budget. */
export const mostTokenBytes = 512;

/** isspace() of the kernel (lib/ctype.c): its table is Latin-1, so 0xa0 counts. */
const isKernelSpace = (code: number): boolean => (code >= 9 && code <= 13) || code === 32 || code === 0xa0;

/** next_arg(): one token from `at`, and where the next begins. */
function nextArg(line: string, at: number): { token: BootToken; next: number } {
  let start = at;
  let inQuote = false;
  const quoted = line.charAt(start) === '"';
  if (quoted) {
    start++;
    inQuote = true;
  }
  let equals = 0;
  let i = start;
  for (; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (isKernelSpace(code) && !inQuote) break;
    // an = at index 0 is not taken for one, because the kernel tests `equals == 0`
    if (equals === 0 && code === 61) equals = i - start;
    if (code === 34) inQuote = !inQuote;
  }
  let end = i;
  let key: string;
  let value: string | null = null;
  if (equals === 0) {
    if (quoted && end > start && line.charAt(end - 1) === '"') end--;
    key = line.slice(start, end);
  } else {
    key = line.slice(start, start + equals);
    let from = start + equals + 1;
    if (line.charAt(from) === '"') {
      from++;
      if (line.charAt(end - 1) === '"') end--;
    } else if (quoted && line.charAt(end - 1) === '"') end--;
    value = line.slice(from, Math.max(from, end));
  }
  let next = i;
  while (next < line.length && isKernelSpace(line.charCodeAt(next))) next++;
  return { token: { text: line.slice(at, i), key, value }, next };
}

/** parse_args(): all tokens of a line; never throws. */
export function parseCommandLine(line: string): CommandLine {
  const kernel: BootToken[] = [];
  let init: BootToken[] | null = null;
  let at = 0;
  while (at < line.length && isKernelSpace(line.charCodeAt(at))) at++;
  while (at < line.length) {
    const { token, next } = nextArg(line, at);
    at = next;
    if (init !== null) init.push(token);
    else if (token.value === null && token.key === '--') init = [];
    else kernel.push(token);
  }
  return { kernel, init };
}

/** parameq(): dashes and underscores in a parameter's name are the same. */
export const canonicalKey = (key: string): string => key.replaceAll('-', '_');

/** Keys that write the same variable of the kernel (init/do_mounts.c: `ro` and `rw` both set root_mountflags, the later wins). */
const sameVariable: Record<string, string> = { ro: 'ro/rw', rw: 'ro/rw' };
const variableOf = (token: BootToken): string => sameVariable[token.key] ?? canonicalKey(token.key);

/**
 * Keys that may stand more than once, because each one adds to those before. All others are refused twice: most kernel parameters keep
 * the last value (module parameters with a dot too, kernel/params.c overwrites), a few the first, and no reader of a line knows which.
 */
export const repeatable: Record<string, string> = {
  console: 'each one registers a console, the last becomes /dev/console (kernel/printk/printk.c)',
  earlycon: 'each one registers an early console (drivers/tty/serial/earlycon.c)',
  memmap: 'each one adds a region (arch/x86/kernel/e820.c)',
  'virtio_mmio.device': 'each one adds a device (drivers/virtio/virtio_mmio.c); Firecracker and QEMU append one per device',
  initcall_blacklist: 'each one adds to a list (init/main.c)',
  hugepagesz: 'each one selects the size for the hugepages= that follows (mm/hugetlb.c)',
  hugepages: 'belongs to the hugepagesz= before it (mm/hugetlb.c)',
  crashkernel: 'the ,high and ,low forms stand side by side (kernel/crash_reserve.c)',
  acpi_osi: 'each one changes one string of a list (drivers/acpi/osi.c)',
  pci: 'each one adds flags (drivers/pci/pci.c); Firecracker appends pci=off',
  'systemd.setenv': 'systemd adds each variable (man kernel-command-line)',
  'systemd.mask': 'systemd adds each unit (man kernel-command-line)',
  'systemd.wants': 'systemd adds each unit (man kernel-command-line)',
};

export const mayRepeat = (key: string): boolean => Object.hasOwn(repeatable, canonicalKey(key));

const placeholders = ['ip', 'address', 'gateway', 'netmask', 'prefix', 'mac', 'vm'] as const;
type Placeholder = (typeof placeholders)[number];
const isPlaceholder = (name: string): name is Placeholder => (placeholders as readonly string[]).includes(name);
const placeholderList = placeholders.map((p) => `{${p}}`).join(' ');

/** Keys for which the word null is a value: console=null (no console), systemd.log_target=null. */
const nullIsAValue = new Set(['console', 'systemd.log_target']);

const clip = (text: string): string => (text.length <= 80 ? text : `${text.slice(0, 77)}...`);
const shown = (token: string): string => `"${clip(token.replaceAll(/[^\x20-\x7e]/g, '?'))}"`;
const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** What a program wrote by mistake where a value belonged; null when nothing. */
function brokenValue(token: BootToken): string | null {
  const text = token.text;
  if (text.includes('undefined')) return 'undefined';
  if (text.includes('[object ')) return '[object …]';
  if (text.includes('${')) return '${…}';
  // not inside words: a base64 value may contain the letters
  if (/(?<![A-Za-z0-9])NaN(?![a-z0-9])/.test(text)) return 'NaN';
  // not in /dev/null; a unit may follow (nullM)
  if (/(?<![A-Za-z0-9_/])null(?![a-z0-9_])/.test(text) && !nullIsAValue.has(token.key)) return 'null';
  return null;
}

/** What is wrong with one token by itself. `open`: known placeholders may still stand in it. */
function problemsOfToken(text: string, stage: 'template' | 'final'): BootArgProblem[] {
  const problem = (code: BootArgProblem['code'], says: string): BootArgProblem[] => [{ code, token: text, says }];
  if (text === '') return problem('empty', 'A boot argument is empty: leave it out.');
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    return problem(
      'control-character',
      `Boot argument ${shown(text)} contains a newline, tab or other control character: write it as one line of printable text.`,
    );
  }
  if (/[^\x20-\x7e]/.test(text)) {
    return problem(
      'non-ascii',
      `Boot argument ${shown(text)} contains a character that is not ASCII, which no VMM passes on: spell it in ASCII.`,
    );
  }
  const bytes = bytesOf(text);
  if (bytes > mostTokenBytes) {
    return problem(
      'token-too-long',
      `Boot argument ${shown(text)} has ${bytes} bytes and may have ${mostTokenBytes}: pass long data through the agent or a file.`,
    );
  }
  if ((text.match(/"/g)?.length ?? 0) % 2 === 1) {
    return problem(
      'unbalanced-quote',
      `Boot argument ${shown(text)} has a double quote without its partner, which would swallow all arguments after it: close it or leave it out.`,
    );
  }
  const parsed = parseCommandLine(text);
  const token = text === '--' ? { text, key: '--', value: null } : parsed.kernel[0];
  if (text !== '--' && (token?.text !== text || parsed.kernel.length !== 1 || parsed.init !== null)) {
    return problem(
      'unquoted-space',
      `Boot argument ${shown(text)} has a space outside double quotes, so the kernel would see several arguments: write key="a b", or one token each (single quotes and backslashes mean nothing to the kernel).`,
    );
  }
  if (!token || token.key === '' || token.key.startsWith('=')) {
    return problem('no-key', `Boot argument ${shown(text)} has no name before its "=": write key=value.`);
  }
  const broken = brokenValue(token);
  if (broken !== null) {
    return problem(
      'broken-value',
      `Boot argument ${shown(text)} contains "${broken}": whatever computed it had no value. Set the value, or leave the argument out.`,
    );
  }
  for (const match of text.matchAll(/\{\{?\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}?\}/g)) {
    const name = match[1] ?? '';
    if (stage === 'template' && isPlaceholder(name) && match[0] === `{${name}}`) continue;
    return problem(
      'placeholder',
      `Boot argument ${shown(text)} holds the placeholder ${match[0]}, which nothing fills: use one of ${placeholderList}, or write the value.`,
    );
  }
  return [];
}

/** Keys that stand twice among tokens that are valid one by one. */
function doubledKeys(tokens: readonly string[]): BootArgProblem[] {
  const seen = new Map<string, string>();
  const problems: BootArgProblem[] = [];
  for (const token of parseCommandLine(tokens.join(' ')).kernel) {
    const first = seen.get(variableOf(token));
    if (first === undefined) seen.set(variableOf(token), token.text);
    else if (!mayRepeat(token.key) || first === token.text) {
      problems.push({
        code: 'doubled-key',
        token: token.text,
        says: `Boot argument ${shown(token.text)} says again what ${shown(first)} says already, and which one counts depends on the parameter: keep one of them.`,
      });
    }
  }
  return problems;
}

function problemsOfLine(tokens: readonly string[]): BootArgProblem[] {
  const bytes = bytesOf(tokens.join(' '));
  if (bytes <= mostLineBytes) return [];
  const longest = tokens.reduce((a, b) => (b.length > a.length ? b : a), '');
  return [
    {
      code: 'line-too-long',
      token: longest,
      says: `The boot arguments have ${bytes} bytes and the kernel reads ${mostLineBytes}: shorten or remove some; the longest is ${shown(longest)}.`,
    },
  ];
}

/** A template with its problems found, placeholders still in it. */
export function checkTemplate(template: readonly string[]): readonly BootArgProblem[] {
  const problems = template.flatMap((token) => problemsOfToken(token, 'template'));
  return problems.length > 0 ? problems : [...doubledKeys(template), ...problemsOfLine(template)];
}

/** A caller's changes applied to a template. All problems are told at once; nothing is guessed. */
export function applyChanges(template: readonly string[], changes: BootArgChanges): BootArgsResult {
  const problems: BootArgProblem[] = [
    ...checkTemplate(template),
    ...[...changes.add, ...changes.replace].flatMap((token) => problemsOfToken(token, 'template')),
  ];
  const bare = [...changes.add, ...changes.replace].find((token) => token === '--');
  if (bare !== undefined) {
    problems.push({
      code: 'not-a-key',
      token: bare,
      says: 'A change cannot add or replace "--": arguments of init belong into the template of the golden image.',
    });
  }
  if (problems.length > 0) return wrong(problems);

  const dashes = template.indexOf('--');
  const tail = dashes === -1 ? [] : template.slice(dashes);
  let tokens = (dashes === -1 ? template : template.slice(0, dashes)).map(tokenOf);
  const present = (): string => tokens.map((t) => t.key).join(' ') || 'none';

  for (const key of changes.remove) {
    if (/[=\s]/.test(key) || key === '') {
      problems.push({
        code: 'not-a-key',
        token: key,
        says: `Remove takes the name of a boot argument alone, not ${shown(key)}: write ${shown(key.split(/[=\s]/)[0] ?? '')}.`,
      });
      continue;
    }
    const left = tokens.filter((t) => canonicalKey(t.key) !== canonicalKey(key));
    if (left.length === tokens.length) {
      problems.push({
        code: 'key-absent',
        token: key,
        says: `There is no boot argument ${shown(key)} to remove; there are: ${clip(present())}.`,
      });
    }
    tokens = left;
  }
  for (const text of changes.replace) {
    const token = tokenOf(text);
    const places = tokens.flatMap((t, i) => (variableOf(t) === variableOf(token) ? [i] : []));
    const [place] = places;
    if (place === undefined) {
      problems.push({
        code: 'key-absent',
        token: text,
        says: `There is no boot argument ${shown(token.key)} to replace with ${shown(text)}: use add.`,
      });
    } else if (places.length > 1) {
      problems.push({
        code: 'doubled-key',
        token: text,
        says: `${shown(token.key)} stands ${places.length} times, so which one ${shown(text)} replaces is not clear: remove ${shown(token.key)}, then add.`,
      });
    } else tokens = tokens.with(place, token);
  }
  for (const text of changes.add) {
    const token = tokenOf(text);
    const there = tokens.find((t) => variableOf(t) === variableOf(token));
    if (there && (!mayRepeat(token.key) || there.text === text)) {
      problems.push({
        code: 'key-exists',
        token: text,
        says: `Boot argument ${shown(token.key)} is there already, as ${shown(there.text)}: use replace instead of adding ${shown(text)}.`,
      });
    } else tokens = [...tokens, token];
  }
  if (problems.length > 0) return wrong(problems);
  const result = [...tokens.map((t) => t.text), ...tail];
  const after = checkTemplate(result);
  return after.length > 0 ? wrong(after) : ok(result);
}

/** Placeholders filled and everything checked: what may be given to a VMM. */
export function resolveArgs(template: readonly string[], values: BootArgValues): BootArgsResult {
  const filled: Record<Placeholder, string> = {
    // client:server:gateway:netmask:hostname:device:autoconf, Documentation/admin-guide/nfs/nfsroot.rst
    ip: `${values.address}::${values.gateway}:${values.netmask}::eth0:off`,
    address: values.address,
    gateway: values.gateway,
    netmask: values.netmask,
    prefix: String(values.prefix),
    mac: values.mac,
    vm: values.vm,
  };
  const empty = placeholders.filter((name) => filled[name] === '');
  const problems: BootArgProblem[] = template.flatMap((text) =>
    empty
      .filter((name) => text.includes(`{${name}}`))
      .map((name) => ({
        code: 'placeholder' as const,
        token: text,
        says: `Boot argument ${shown(text)} holds the placeholder {${name}}, and this VM has no ${name}: leave the argument out.`,
      })),
  );
  const tokens = template.map((text) =>
    text.replaceAll(/\{([a-z]+)\}/g, (whole, name: string) => (isPlaceholder(name) ? filled[name] : whole)),
  );
  // the template first: once filled, a broken placeholder such as {{ip}} no longer looks like one
  if (problems.length === 0) problems.push(...template.flatMap((token) => problemsOfToken(token, 'template')));
  if (problems.length === 0) problems.push(...tokens.flatMap((token) => problemsOfToken(token, 'final')));
  if (problems.length === 0) problems.push(...doubledKeys(tokens), ...problemsOfLine(tokens));
  return problems.length > 0 ? wrong(problems) : ok(tokens);
}

/** One valid token taken apart. */
export function tokenOf(text: string): BootToken {
  return parseCommandLine(text).kernel[0] ?? { text, key: text, value: null };
}

/** The value that counts for a parameter that keeps its last value; null when absent, '' for a bare key. */
export function lastValue(line: readonly BootToken[], key: string): string | null {
  const token = line.findLast((t) => canonicalKey(t.key) === canonicalKey(key));
  return token === undefined ? null : (token.value ?? '');
}
