import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyChanges,
  checkTemplate,
  parseCommandLine,
  resolveArgs,
  type BootArgProblem,
  type BootArgValues,
  type BootToken,
  type CommandLine,
} from './cmdline.ts';

function formatToken({ key, value }: Pick<BootToken, 'key' | 'value'>): string {
  if (value === null) return key;
  return value.includes(' ') ? `${key}="${value}"` : `${key}=${value}`;
}

function formatCommandLine({ kernel, init }: CommandLine): string {
  const tokens = kernel.map(formatToken);
  return (init === null ? tokens : [...tokens, '--', ...init.map(formatToken)]).join(' ');
}

const values: BootArgValues = {
  address: '192.168.100.3',
  gateway: '192.168.100.1',
  netmask: '255.255.255.0',
  prefix: 24,
  mac: '02:fc:c0:a8:64:03',
  vm: 'web',
};
/** The line of the founding case. */
const seed =
  'console=ttyS0 reboot=k panic=1 root=/dev/vda rw rootfstype=ext4 net.ifnames=0 biosdevname=0 random.trust_cpu=on iommu=off swiotlb=force ip={ip}'.split(
    ' ',
  );
const pairs = (line: string): (string | null)[][] => parseCommandLine(line).kernel.map((t) => [t.key, t.value]);

describe('parseCommandLine, as next_arg() of lib/cmdline.c', () => {
  it.each<[string, (string | null)[][]]>([
    [
      'a=1  b',
      [
        ['a', '1'],
        ['b', null],
      ],
    ],
    [
      '  a=1\tb\n',
      [
        ['a', '1'],
        ['b', null],
      ],
    ],
    [
      'dyndbg="file x.c +p" quiet',
      [
        ['dyndbg', 'file x.c +p'],
        ['quiet', null],
      ],
    ],
    [
      '"dyndbg=file x.c +p" quiet',
      [
        ['dyndbg', 'file x.c +p'],
        ['quiet', null],
      ],
    ],
    [
      'a="" b=',
      [
        ['a', ''],
        ['b', ''],
      ],
    ],
    ['a=b=c', [['a', 'b=c']]],
    [
      '=a b',
      [
        ['=a', null],
        ['b', null],
      ],
    ],
    [
      "a='b c'",
      [
        ['a', "'b"],
        ["c'", null],
      ],
    ],
    ['a="b c', [['a', 'b c']]],
    [
      'a\u00a0b',
      [
        ['a', null],
        ['b', null],
      ],
    ],
    ['', []],
  ])('%j', (line, tokens) => expect(pairs(line)).toEqual(tokens));

  it('gives to init what follows --', () => {
    const line = parseCommandLine('a=1 -- single a=2 --');
    expect(line.kernel.map((t) => t.text)).toEqual(['a=1']);
    expect(line.init?.map((t) => t.text)).toEqual(['single', 'a=2', '--']);
  });

  it('takes any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (line) => void parseCommandLine(line)));
  });

  it('reads back what is written with the quotes that the kernel needs', () => {
    const key = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_.-]{0,12}$/);
    const value = fc.stringMatching(/^[a-zA-Z0-9:,/@ .=_-]{0,20}$/);
    const token = fc.record({ key, value: fc.option(value) }).map((t) => ({ ...t, text: '' }));
    fc.assert(
      fc.property(fc.array(token), fc.option(fc.array(token)), (kernel, init) => {
        const again = parseCommandLine(formatCommandLine({ kernel, init }));
        const bare = (tokens: readonly { key: string; value: string | null }[] | null) =>
          tokens?.map(({ key, value }) => ({ key, value })) ?? null;
        expect(bare(again.kernel)).toEqual(bare(kernel));
        expect(bare(again.init)).toEqual(bare(init));
      }),
    );
  });
});

describe('resolveArgs', () => {
  it('fills the founding line', () => {
    const result = resolveArgs(seed, values);
    expect(result).toEqual({ is: 'ok', tokens: [...seed.slice(0, -1), 'ip=192.168.100.3::192.168.100.1:255.255.255.0::eth0:off'] });
  });

  it('fills every placeholder', () => {
    expect(resolveArgs(['a={address}/{prefix}', 'b={gateway}', 'c={netmask}', 'd={mac}', 'e={vm}'], values)).toEqual({
      is: 'ok',
      tokens: ['a=192.168.100.3/24', 'b=192.168.100.1', 'c=255.255.255.0', 'd=02:fc:c0:a8:64:03', 'e=web'],
    });
  });

  it.each<[string[], BootArgProblem['code']]>([
    [[''], 'empty'],
    [['a=1\nb=2'], 'control-character'],
    [['a=\u001b[31m'], 'control-character'],
    [['a=é'], 'non-ascii'],
    [['a=\u202e'], 'non-ascii'],
    [['a="b'], 'unbalanced-quote'],
    [['a=b c'], 'unquoted-space'],
    [["a='b c'"], 'unquoted-space'],
    [['a=1 '], 'unquoted-space'],
    [['=x'], 'no-key'],
    [['ip={adress}'], 'placeholder'],
    [['ip={{ip}}'], 'placeholder'],
    [['ip=192.168.100.3::undefined:undefined::eth0:off'], 'broken-value'],
    [['undefined'], 'broken-value'],
    [['mem=undefinedM'], 'broken-value'],
    [['vm=vm-null'], 'broken-value'],
    [['mem=NaNM'], 'broken-value'],
    [['a=[object Object]'], 'unquoted-space'],
    [['a="[object Object]"'], 'broken-value'],
    [['a=${IP}'], 'broken-value'],
    [['panic=1', 'panic=0'], 'doubled-key'],
    [['random.trust_cpu=on', 'random.trust-cpu=off'], 'doubled-key'],
    [['ro', 'rw'], 'doubled-key'],
    [['console=ttyS0', 'console=ttyS0'], 'doubled-key'],
    [[`a=${'x'.repeat(511)}`], 'token-too-long'],
    [Array.from({ length: 30 }, (_, i) => `a${i}=${'x'.repeat(80)}`), 'line-too-long'],
  ])('refuses %j', (template, code) => {
    const result = resolveArgs(template, values);
    expect(result.is === 'ok' ? [] : result.details.map((p) => p.code)).toEqual([code]);
    if (result.is === 'wrong') for (const says of result.problems) expect(says).toMatch(/: .+\.$/);
  });

  it.each([
    ['root=/dev/null'],
    ['console=null'],
    ['a=nullify'],
    ['key=xNaN'],
    ['console=tty0', 'console=ttyS0'],
    ['a={1,2}'],
    ['dyndbg="file a.c +p"'],
    ['quiet', '--', 'a=1', 'a=1'],
  ])('lets %j pass', (...template) => {
    expect(resolveArgs(template, values)).toEqual({ is: 'ok', tokens: template });
  });

  it('lets exactly 2,047 bytes pass', () => {
    const template = ['a', 'b', 'c', 'd'].map((k) => `${k}=${'x'.repeat(509)}`);
    expect(template.join(' ')).toHaveLength(2_047);
    expect(resolveArgs(template, values).is).toBe('ok');
    expect(resolveArgs([...template.slice(1), `e=${'x'.repeat(510)}`], values).is).toBe('wrong');
    expect(resolveArgs([...template.slice(1), `e=${'x'.repeat(507)}`, 'e2'], values).is).toBe('wrong');
  });

  it('keeps the kernel from seeing other tokens than it let pass', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (template) => {
        const result = resolveArgs(template, values);
        if (result.is === 'ok' && !result.tokens.includes('--'))
          expect(parseCommandLine(result.tokens.join(' ')).kernel.map((t) => t.text)).toEqual(result.tokens);
      }),
    );
  });

  it('says what lacks for a placeholder without a value', () => {
    const result = resolveArgs(['mac={mac}'], { ...values, mac: '' });
    expect(result.is === 'ok' ? '' : result.problems[0]).toContain('this VM has no mac');
  });
});

describe('applyChanges', () => {
  const template = ['console=ttyS0', 'panic=1', 'rw', 'ip={ip}', '--', 'x'];
  const none = { add: [], replace: [], remove: [] };
  const codes = (changes: Partial<typeof none> | object): string[] => {
    const result = applyChanges(template, { ...none, ...changes });
    return result.is === 'ok' ? [] : result.details.map((p) => p.code);
  };

  it('adds before --, replaces in place, removes by key', () => {
    expect(applyChanges(template, { add: ['swiotlb=force', 'console=hvc0'], replace: ['ro', 'panic=0'], remove: ['ip'] })).toEqual({
      is: 'ok',
      tokens: ['console=ttyS0', 'panic=0', 'ro', 'swiotlb=force', 'console=hvc0', '--', 'x'],
    });
  });

  it.each<[object, string[]]>([
    [{ add: ['panic=0'] }, ['key-exists']],
    [{ add: ['ro'] }, ['key-exists']],
    [{ add: ['console=ttyS0'] }, ['key-exists']],
    [{ replace: ['swiotlb=force'] }, ['key-absent']],
    [{ remove: ['swiotlb'] }, ['key-absent']],
    [{ remove: ['panic=1'] }, ['not-a-key']],
    [{ add: ['--'] }, ['not-a-key']],
    [{ add: ['a=undefined', 'b c'] }, ['broken-value', 'unquoted-space']],
    [{ add: ['a=1', 'a=2'] }, ['key-exists']],
    [{ add: ['a={nothing}'] }, ['placeholder']],
    [{ remove: ['panic'], add: ['panic=0'] }, []],
  ])('%j', (changes, expected) => expect(codes(changes)).toEqual(expected));

  it('does not guess which of several consoles is meant', () => {
    expect(applyChanges(['console=tty0', 'console=ttyS0'], { ...none, replace: ['console=hvc0'] })).toMatchObject({
      is: 'wrong',
      details: [{ code: 'doubled-key' }],
    });
  });

  it('finds faults of the template itself', () => {
    expect(checkTemplate(['a', 'a']).map((p) => p.code)).toEqual(['doubled-key']);
    expect(applyChanges(['a', 'a'], none).is).toBe('wrong');
  });
});
