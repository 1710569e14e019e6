/**
 * Boot arguments of a configuration file as the template of a golden image: what Firecracker appends is written out, what belongs to the
 * file's own network and machine is replaced, and each change is named. Pure.
 */
import { canonicalKey, lastValue, mayRepeat, parseCommandLine, type BootToken } from '@linstock/core';

export type ImportedArguments = { tokens: readonly string[]; changes: readonly string[] };

/** What a guest needs at least to be seen, and to end when it dies; Firecracker's own defaults have no console. */
const without = ['console=ttyS0', 'reboot=k', 'panic=1'];

/** Arguments that fit Firecracker's machine and no other; each with what it would do elsewhere. */
const ofTheMachine: readonly { matches: (token: BootToken) => boolean; why: string }[] = [
  {
    matches: ({ key }) => canonicalKey(key) === 'virtio_mmio.device',
    why: 'it names an address of Firecracker’s machine; the VMM names its own devices',
  },
  {
    matches: ({ text }) => text === 'acpi=off',
    why: 'QEMU names the VM’s devices in ACPI tables, and without them the guest finds no disk',
  },
  { matches: ({ text }) => text === 'noapic', why: 'QEMU’s machine delivers the interrupts of its devices by the IO-APIC' },
];

/** `owner`: whether Firecracker itself appends root= for the drive. */
export function importArguments(args: unknown, root: { owner: 'firecracker' | 'arguments'; readOnly: boolean }): ImportedArguments {
  const changes: string[] = [];
  const given = typeof args === 'string';
  if (!given) changes.push(`Without arguments Firecracker takes its own, which turn the serial port off: ${without.join(' ')} instead.`);
  const line = parseCommandLine(given ? args : without.join(' '));
  let tokens = [...line.kernel];

  for (const { matches, why } of ofTheMachine) {
    const dropped = tokens.find(matches);
    if (dropped === undefined) continue;
    tokens = tokens.filter((token) => !matches(token));
    changes.push(`${dropped.text} is dropped: ${why}.`);
  }
  tokens = lastOfEach(tokens, changes);
  tokens = withConsole(tokens, changes);
  tokens = withRoot(tokens, root, changes);
  tokens = withAddress(tokens, changes);
  // by their own text, so that quotes stay
  return {
    tokens: [...tokens.map(({ text }) => text), ...(line.init === null ? [] : ['--', ...line.init.map(({ text }) => text)])],
    changes,
  };
}

/** What root= of the arguments means among the drives of the file, in their order. */
export function rootFromArguments(args: unknown): { is: 'disk'; index: number } | { is: 'partition'; value: string } | { is: 'other' } {
  const value = typeof args === 'string' ? lastValue(parseCommandLine(args).kernel, 'root') : null;
  if (value === null) return { is: 'other' };
  const disk = /^\/dev\/vd([a-z])(\d*)$/.exec(value);
  if (disk?.[2] === '') return { is: 'disk', index: (disk[1] ?? 'a').charCodeAt(0) - 97 };
  return disk !== null || value.startsWith('PARTUUID=') || value.startsWith('PARTLABEL=') ? { is: 'partition', value } : { is: 'other' };
}

const token = (text: string): BootToken => parseCommandLine(text).kernel[0] ?? { text, key: text, value: null };

/** `ro` and `rw` set the same thing (init/do_mounts.c). */
const variableOf = ({ key, text }: BootToken): string => (text === 'ro' || text === 'rw' ? 'ro/rw' : canonicalKey(key));

/** A template names each thing once; of two, the kernel keeps the last of most. */
function lastOfEach(tokens: readonly BootToken[], changes: string[]): BootToken[] {
  return tokens.filter((one, i) => {
    const again = (other: BootToken): boolean => (mayRepeat(one.key) ? other.text === one.text : variableOf(other) === variableOf(one));
    const later = tokens.slice(i + 1).find(again);
    if (later !== undefined) changes.push(`${one.text} is dropped: ${later.text} comes after it.`);
    return later === undefined;
  });
}

function withConsole(tokens: readonly BootToken[], changes: string[]): BootToken[] {
  const off = tokens.find(({ key, value }) => canonicalKey(key) === '8250.nr_uarts' && value === '0');
  if (off !== undefined) changes.push(`${off.text} is dropped: the proof of a boot reads its console.`);
  const kept = tokens.filter((one) => one !== off);
  if (kept.some(({ key, value }) => key === 'console' && value?.startsWith('ttyS0') === true)) return kept;
  changes.push('console=ttyS0 is added: the proof of a boot reads its console.');
  return [...kept, token('console=ttyS0')];
}

function withRoot(
  tokens: readonly BootToken[],
  root: { owner: 'firecracker' | 'arguments'; readOnly: boolean },
  changes: string[],
): BootToken[] {
  if (root.owner === 'firecracker') {
    const mode = root.readOnly ? 'ro' : 'rw';
    const own = tokens.filter(({ key, text }) => key === 'root' || text === 'ro' || text === 'rw').map(({ text }) => text);
    const same = own.join(' ') === `root=/dev/vda ${mode}`;
    if (!same)
      changes.push(
        `root=/dev/vda ${mode} is written out, which Firecracker appends by itself${own.length === 0 ? '' : `; it counts instead of ${own.join(' ')}`}.`,
      );
    return [...tokens.filter(({ text }) => !own.includes(text)), token('root=/dev/vda'), token(mode)];
  }
  return tokens.map((one) => {
    if (one.key !== 'root' || !/^\/dev\/vd[b-z]$/.test(one.value ?? '')) return one;
    changes.push(`root=/dev/vda instead of ${one.text}: the VM has this disk alone.`);
    return token('root=/dev/vda');
  });
}

/** Every VM has a leased address, and ip= is how its kernel learns it. */
function withAddress(tokens: readonly BootToken[], changes: string[]): BootToken[] {
  const own = tokens.find(({ key }) => key === 'ip');
  if (own?.text === 'ip={ip}') return [...tokens];
  if (own !== undefined) {
    changes.push(`ip={ip} instead of ${own.text}: each VM gets the address of its own lease.`);
    return tokens.map((one) => (one === own ? token('ip={ip}') : one));
  }
  changes.push(
    'ip={ip} is added: the kernel sets the address of the VM’s lease, which an address that the image sets itself does not fit.',
  );
  return [...tokens, token('ip={ip}')];
}
