import { canonicalKey, mayRepeat, parseCommandLine, tokenOf, type BootToken } from './cmdline.ts';

/**
 * What was asked against what is in effect, token by token; and who reads what the kernel says it does not know.
 * A test of an argument is void unless this says that the argument arrived.
 */

export type ArgsAsked = {
  /** what the VMM is given */
  given: readonly string[];
  /** what Linstock adds for this VMM; tokens that `given` already holds count once */
  addedForVmm: readonly string[];
  /** what the VMM appends by itself; `key=prefix*` stands for any number of tokens that begin so */
  appendedByVmm: readonly string[];
};

export type ArgsComparison = {
  /** asked for, and its key is nowhere on the effective line */
  missing: readonly string[];
  /** in effect, and nobody asked for it */
  added: readonly string[];
  /** the key is there with another value */
  changed: readonly { key: string; expected: string; effective: string }[];
  /** a key that keeps one value stands more than once; `planned`: all of them were asked for and agree */
  doubled: readonly { key: string; texts: readonly string[]; planned: boolean }[];
  /** same tokens, other order; matters to nobody but console= (that one is reported in `changed`) */
  reordered: boolean;
  /** beyond the end of a line that printk cut off: neither there nor missing */
  unseen: readonly string[];
};

const identity = (token: BootToken): string =>
  token.value === null ? canonicalKey(token.key) : `${canonicalKey(token.key)}=${token.value}`;

/** All tokens that should be in effect, in order. */
export function argsExpected(asked: ArgsAsked): { tokens: readonly BootToken[]; init: readonly BootToken[]; wildcards: readonly string[] } {
  const given = parseCommandLine(asked.given.join(' '));
  const there = new Set(given.kernel.map(identity));
  const added = asked.addedForVmm.map(tokenOf).filter((t) => !there.has(identity(t)));
  const appended = asked.appendedByVmm.filter((text) => !text.endsWith('*')).map(tokenOf);
  return {
    // what is added belongs before a `--`; whatever lands behind it never reaches the kernel and is found missing
    tokens: [...given.kernel, ...added, ...appended],
    init: given.init ?? [],
    wildcards: asked.appendedByVmm.filter((text) => text.endsWith('*')).map((text) => text.slice(0, -1)),
  };
}

export function compareArgs(asked: ArgsAsked & { effective: string; effectiveIsCut?: boolean }): ArgsComparison {
  const expected = argsExpected(asked);
  const line = parseCommandLine(asked.effective);
  const cut = asked.effectiveIsCut ?? false;
  // the last token of a cut line is a piece of one
  const effective = cut && line.init === null ? line.kernel.slice(0, -1) : line.kernel;

  const places = new Map<string, number[]>();
  effective.forEach((token, i) => places.set(identity(token), [...(places.get(identity(token)) ?? []), i]));
  const taken = new Set<number>();
  const absent: BootToken[] = [];
  const order: number[] = [];
  for (const token of expected.tokens) {
    const place = places.get(identity(token))?.shift();
    if (place === undefined) absent.push(token);
    else {
      taken.add(place);
      order.push(place);
    }
  }
  effective.forEach((token, i) => {
    if (!taken.has(i) && expected.wildcards.some((w) => token.text.startsWith(w))) taken.add(i);
  });
  const extra = effective.flatMap((token, i) => (taken.has(i) ? [] : [token]));

  const changed: { key: string; expected: string; effective: string }[] = [];
  const missing: BootToken[] = [];
  for (const token of absent) {
    const i = extra.findIndex((e) => canonicalKey(e.key) === canonicalKey(token.key));
    const other = extra[i];
    if (other === undefined) missing.push(token);
    else {
      extra.splice(i, 1);
      changed.push({ key: token.key, expected: token.text, effective: other.text });
    }
  }

  // the last console= becomes /dev/console: its order is part of what was asked
  const lastConsole = (tokens: readonly BootToken[]): string | undefined => tokens.findLast((t) => t.key === 'console')?.text;
  const [before, after] = [lastConsole(expected.tokens), lastConsole(effective)];
  if (!cut && before !== undefined && after !== undefined && before !== after && !changed.some((c) => c.key === 'console')) {
    changed.push({ key: 'console', expected: `${before} as the last console=`, effective: `${after} as the last console=` });
  }

  const initExpected = expected.init.map((t) => t.text);
  const initEffective = (line.init ?? []).map((t) => t.text);
  const initMissing = initExpected.filter((t) => !initEffective.includes(t)).map((t) => `-- ${t}`);
  const initAdded = initEffective.filter((t) => !initExpected.includes(t)).map((t) => `-- ${t}`);

  return {
    missing: cut ? [] : [...missing.map((t) => t.text), ...initMissing],
    unseen: cut ? [...missing.map((t) => t.text), ...initMissing] : [],
    added: [...extra.map((t) => t.text), ...(cut ? [] : initAdded)],
    changed,
    doubled: doubledIn(effective, expected.tokens),
    reordered: order.some((place, i) => i > 0 && place < (order[i - 1] ?? -1)),
  };
}

function doubledIn(effective: readonly BootToken[], expected: readonly BootToken[]): ArgsComparison['doubled'] {
  const byKey = Map.groupBy(effective, (t) => canonicalKey(t.key));
  return [...byKey].flatMap(([key, tokens]) => {
    if (tokens.length < 2 || mayRepeat(key)) return [];
    const agree = new Set(tokens.map(identity)).size === 1;
    const asked = expected.filter((t) => canonicalKey(t.key) === key).length;
    return [{ key, texts: tokens.map((t) => t.text), planned: agree && asked >= tokens.length }];
  });
}

/**
 * Who reads a token that is no parameter of any kernel. The kernel lists only tokens without a dot as unknown: a dotted name may belong
 * to a module that is loaded later (init/main.c, unknown_bootoption), so dotted rows matter only for saying who reads them.
 */
const readers: readonly { matches: (key: string) => boolean; reader: string; why: string }[] = [
  {
    matches: (k) => k === 'biosdevname',
    reader: 'udev (biosdevname rule)',
    why: 'names network interfaces; without that rule in the image nothing reads it and nothing is renamed by it',
  },
  {
    matches: (k) => k === 'net.ifnames' || k === 'net.naming_scheme' || k.startsWith('udev.'),
    reader: 'udev',
    why: 'read from /proc/cmdline',
  },
  {
    matches: (k) =>
      k.startsWith('systemd.') ||
      k.startsWith('locale.') ||
      k.startsWith('vconsole.') ||
      k.startsWith('fsck.') ||
      k.startsWith('quotacheck.') ||
      k.startsWith('luks.'),
    reader: 'systemd',
    why: 'man kernel-command-line',
  },
  { matches: (k) => k.startsWith('rd.'), reader: 'the initrd (dracut or systemd)', why: 'man dracut.cmdline' },
  { matches: (k) => k.startsWith('modprobe.'), reader: 'modprobe', why: 'man modprobe.d' },
  { matches: (k) => k.startsWith('linstock.'), reader: 'a Linstock image', why: 'read by its init' },
  {
    matches: (k) => ['single', 's', 'S', '1', '2', '3', '4', '5', 'emergency', 'rescue', '-b'].includes(k),
    reader: 'init',
    why: 'handed to PID 1 as an argument: the run level',
  },
  { matches: (k) => ['splash', 'nosplash'].includes(k) || k.startsWith('plymouth.'), reader: 'plymouth', why: 'boot splash' },
  { matches: (k) => ['fastboot', 'forcefsck'].includes(k), reader: 'init scripts', why: 'file system check' },
  { matches: (k) => ['cloud-init', 'ds', 'network-config', 'cc:'].includes(k), reader: 'cloud-init', why: 'read from /proc/cmdline' },
  {
    matches: (k) => ['boot', 'toram', 'components', 'break', 'live-media'].includes(k),
    reader: 'the initrd (initramfs-tools, live-boot)',
    why: 'read from /proc/cmdline',
  },
  { matches: (k) => k === 'BOOT_IMAGE', reader: 'nobody; boot loaders add it', why: 'tells people which kernel file was loaded' },
  {
    matches: (k) => ['TERM', 'LANG', 'TZ', 'PATH'].includes(k),
    reader: 'init',
    why: 'the kernel puts unknown key=value tokens into the environment of PID 1',
  },
];

export type ArgReader = { reader: string; why: string };

/** Who in user space reads this key; null when no one is known to. `applied`: keys whose effect was seen. */
export function readerOf(key: string, userspaceArgs: readonly string[], applied: readonly string[] = []): ArgReader | null {
  if (userspaceArgs.some((k) => canonicalKey(k) === canonicalKey(key))) {
    return { reader: 'this golden image itself', why: 'its manifest names it in userspaceArgs' };
  }
  if (applied.includes(key)) return { reader: 'the initrd or user space', why: 'what it asks for is there, and the kernel did not do it' };
  const row = readers.find((r) => r.matches(key));
  return row ? { reader: row.reader, why: row.why } : null;
}

export type Understanding = {
  /** asked for, unknown to the kernel, and nobody is known to read it: without any effect */
  ignored: readonly string[];
  /** asked for, unknown to the kernel, read by somebody else */
  readBy: readonly ({ token: string } & ArgReader)[];
  /** named by the kernel although nobody asked for it */
  notAsked: readonly string[];
};

/** Sorts the tokens that the kernel named as unknown. */
export function understood(about: {
  unknownTokens: readonly string[];
  given: readonly string[];
  userspaceArgs: readonly string[];
  applied?: readonly string[];
}): Understanding {
  const given = parseCommandLine(about.given.join(' ')).kernel;
  const ignored: string[] = [];
  const readBy: ({ token: string } & ArgReader)[] = [];
  const notAsked: string[] = [];
  // the kernel prints values without their quotes, so one token with spaces comes back as several words
  const words = given.map((token) => ({ token, words: (token.value === null ? token.key : `${token.key}=${token.value}`).split(/\s+/) }));
  for (let i = 0; i < about.unknownTokens.length;) {
    const found = words.find((w) => w.words.every((word, k) => about.unknownTokens[i + k] === word));
    const word = about.unknownTokens[i] ?? '';
    // the last word may be cut off by printk: a key that was asked for is enough
    const token = found?.token ?? given.find((t) => canonicalKey(t.key) === canonicalKey(tokenOf(word).key));
    const text = token?.text ?? word;
    i += found?.words.length ?? 1;
    const reader = readerOf(token?.key ?? tokenOf(word).key, about.userspaceArgs, about.applied);
    if (token === undefined) notAsked.push(text);
    else if (reader) readBy.push({ token: text, ...reader });
    else ignored.push(text);
  }
  return { ignored, readBy, notAsked };
}
