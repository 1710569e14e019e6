import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readConfigText } from '../config-text.ts';
import { lackingIn, parseExpression, valueOf, wordsOf } from './expression.ts';
import { layFragments, readFragment } from './fragment.ts';
import { readKconfig } from './kconfig.ts';
import { unmetOptions } from './unmet.ts';

const settings = (values: Record<string, string>) => (name: string) => values[name];

describe('expressions', () => {
  test.each<[string, Record<string, string>, string]>([
    ['A', { A: 'y' }, 'y'],
    ['A', { A: 'm' }, 'm'],
    ['A', {}, 'n'],
    ['!A', {}, 'y'],
    ['!A', { A: 'm' }, 'm'],
    ['A && B', { A: 'y', B: 'm' }, 'm'],
    ['A || B', { A: 'y', B: 'm' }, 'y'],
    ['A || B && C', { A: 'n', B: 'y', C: 'y' }, 'y'],
    ['(A || B) && C', { A: 'y' }, 'n'],
    ['A=y', { A: 'y' }, 'y'],
    ['A != n', {}, 'n'],
    ['A = "text"', { A: 'text' }, 'y'],
    ['GCC_VERSION >= 120100', { GCC_VERSION: '120200' }, 'y'],
    ['GCC_VERSION < 90000', { GCC_VERSION: '120200' }, 'n'],
    ['y', {}, 'y'],
    ['$(cc-option,-mfoo)', {}, 'unknown'],
    ['A && $(cc-option,-mfoo)', {}, 'n'],
    ['A || $(success,test -e "$(srctree)/x")', { A: 'y' }, 'y'],
    ['A &&', { A: 'y' }, 'unknown'],
    ['(A', { A: 'y' }, 'unknown'],
    ['A B', { A: 'y' }, 'unknown'],
    ['', {}, 'unknown'],
    [`${'('.repeat(5000)}A`, {}, 'unknown'],
    [`${'!'.repeat(300)}A`, {}, 'unknown'],
  ])('%s with %j is %s', (text, values, value) => {
    expect(valueOf(parseExpression(text), settings(values))).toBe(value);
  });

  test.each<[string, Record<string, string>, 'm' | 'y', string[]]>([
    ['A && B', { A: 'y' }, 'y', ['B is off']],
    ['A && B', {}, 'y', ['A is off', 'B is off']],
    ['A && !B', { A: 'y', B: 'y' }, 'y', ['B is on']],
    ['A', { A: 'm' }, 'y', ['A is a module']],
    ['A', { A: 'm' }, 'm', []],
    ['A || B', {}, 'y', ['A is off and B is off, one of which would do']],
    ['A || B || C', {}, 'y', ['A is off and B is off and C is off, one of which would do']],
    ['A && (B || C)', { A: 'y' }, 'y', ['B is off and C is off, one of which would do']],
    ['A >= 5', { A: '3' }, 'y', ['A>=5 does not hold']],
    ['!(A && B)', { A: 'y', B: 'y' }, 'y', ['!(A && B) does not hold']],
    ['$(cc-option,-mfoo)', {}, 'y', []],
  ])('%s with %j lacks for %s: %j', (text, values, least, lacking) => {
    expect(lackingIn(parseExpression(text), settings(values), least)).toEqual(lacking);
  });

  test.each(['A && B || C', '(A || B) && !C', 'A=y && B!="x"'])('%s is written as it was', (text) => {
    expect(wordsOf(parseExpression(text))).toBe(text);
  });
});

const files: Record<string, string> = {
  Kconfig: `mainmenu "Linux"
source "arch/$(SRCARCH)/Kconfig"
source "net/Kconfig"
source "nowhere/Kconfig"
`,
  'arch/x86/Kconfig': `config X86_64
	def_bool y
	select SWIOTLB
	select NEEDED if HELPFUL
config SWIOTLB
	bool
config NEEDED
	bool
config HELPFUL
	bool "Helpful"
config MODULES
	bool "Modules"
	modules
config EXPERTS
	bool "For experts" if EXPERT
	default y
config EXPERT
	bool "Expert"
choice
	prompt "Ticks"
	default HZ_250
config HZ_100
	bool "100 HZ"
config HZ_250
	bool "250 HZ"
endchoice
config NR_CPUS
	int "CPUs" if SMP
	range 2 MOST_CPUS
	default "64" # as many as there are
config SMP
	bool "More than one"
	help
	  config NOT_AN_OPTION
	  depends on NOTHING
config NAME
	string "Name"
`,
  'net/Kconfig': `menuconfig NET
	bool "Networking"
if NET
comment "needs wireless"
	depends on WIRELESS
menu "Options"
	depends on SMP && \\
		!EXPERT
config VSOCKETS
	tristate "vsock"
	depends on HELPFUL
endmenu
config PACKET
	tristate "packet"
endif # NET
config PACKET
	tristate "packet, elsewhere"
	depends on FAR && WIDE
`,
};
const kconfig = readKconfig((path) => files[path], 'x86');

test('options are found through sourced files, with all that is around them', () => {
  expect([...kconfig.definitions.keys()]).not.toContain('NOT_AN_OPTION');
  expect(kconfig.definitions.get('VSOCKETS')?.map(({ depends, file }) => [file, depends.map(wordsOf)])).toEqual([
    ['net/Kconfig', ['NET', 'SMP && !EXPERT', 'HELPFUL']],
  ]);
  expect(kconfig.definitions.get('PACKET')?.map(({ depends }) => depends.map(wordsOf))).toEqual([['NET'], ['FAR && WIDE']]);
  expect(kconfig.selectors.get('SWIOTLB')).toEqual([{ by: 'X86_64', when: null }]);
  expect(kconfig.choices).toEqual([['HZ_100', 'HZ_250']]);
  expect(kconfig.definitions.get('NR_CPUS')?.[0]).toMatchObject({ type: 'int', range: '2 MOST_CPUS' });
});

const BASE = 'CONFIG_X86_64=y\nCONFIG_SWIOTLB=y\nCONFIG_SMP=y\nCONFIG_NET=y\nCONFIG_HZ_100=y\nCONFIG_NR_CPUS=64\nCONFIG_NAME="a"\n';
test.each<[asked: string, config: string, by: string, why: string | RegExp]>([
  ['CONFIG_NONE=y', BASE, 'no-such-option', 'Linux 6.1.99 has no option of this name'],
  ['CONFIG_VSOCKETS=y', BASE, 'dependency', 'it depends on what is not met: HELPFUL is off'],
  [
    'CONFIG_VSOCKETS=y',
    'CONFIG_EXPERT=y\nCONFIG_HELPFUL=y\nCONFIG_NET=y\n',
    'dependency',
    'it depends on what is not met: SMP is off; EXPERT is on',
  ],
  ['CONFIG_PACKET=y', 'CONFIG_X86_64=y\n', 'dependency', 'it depends on what is not met: NET is off'],
  ['CONFIG_PACKET=m', `${BASE}CONFIG_PACKET=y\n`, 'dependency', 'MODULES is off, so that nothing can be a module'],
  ['# CONFIG_SWIOTLB is not set', BASE, 'selected', 'selected by X86_64, which is on'],
  ['CONFIG_NEEDED=n', `${BASE}CONFIG_NEEDED=y\nCONFIG_HELPFUL=y\n`, 'selected', 'selected by X86_64, which is on'],
  ['CONFIG_NEEDED=y', BASE, 'hidden', 'nobody is asked about it; it is on where one of these is: X86_64'],
  ['CONFIG_X86_64=n', BASE, 'hidden', 'nobody is asked about it here: its default decides'],
  ['CONFIG_EXPERTS=n', `${BASE}CONFIG_EXPERTS=y\n`, 'hidden', /its default decides/],
  ['CONFIG_EXPERTS=y', BASE, 'hidden', 'nobody is asked about it unless EXPERT; its default decides'],
  ['CONFIG_HZ_250=y', BASE, 'choice', 'of its choice HZ_100 is on, and only one can be'],
  ['CONFIG_HZ_100=n', BASE, 'choice', /one of its choice must be on/],
  ['CONFIG_NR_CPUS=1024', `${BASE}CONFIG_MOST_CPUS=512\n`, 'range', 'it must be in the range 2 512'],
  ['CONFIG_NR_CPUS=1024', BASE, 'range', 'it must be in the range 2 MOST_CPUS'],
  ['CONFIG_NR_CPUS=8', 'CONFIG_X86_64=y\n', 'hidden', 'nobody is asked about it unless SMP; its default decides'],
  ['CONFIG_NAME="b"', BASE, 'unknown', /another value/],
  ['CONFIG_HELPFUL=y', BASE, 'unknown', /why it was left out/],
])('%s is not met: %s', (asked, config, by, why) => {
  const read = readFragment('mine', asked);
  if (!read.ok) throw new Error(read.say);
  const unmet = unmetOptions(layFragments([read.fragment]), readConfigText(config), kconfig, '6.1.99');
  expect(unmet).toEqual([expect.objectContaining({ from: 'mine', by, why: typeof why === 'string' ? why : expect.stringMatching(why) })]);
});

test.each([
  ['CONFIG_SMP=y', 'CONFIG_SMP=y\n'],
  ['# CONFIG_SMP is not set', '# CONFIG_SMP is not set\n'],
  ['CONFIG_SMP=n', ''],
  ['CONFIG_NR_CPUS=0x40', 'CONFIG_NR_CPUS=64\n'],
  ['CONFIG_NAME="a \\"b\\""', 'CONFIG_NAME="a \\"b\\""\n'],
  ['CONFIG_NAME=""', ''],
])('%s is met', (asked, config) => {
  const read = readFragment('mine', asked);
  if (!read.ok) throw new Error(read.say);
  expect(unmetOptions(layFragments([read.fragment]), readConfigText(config), kconfig, '6.1.99')).toEqual([]);
});

test('files that source themselves, never end, or are no Kconfig end all the same', () => {
  expect(readKconfig(() => 'source "Kconfig"\nsource "Kconfig"\n', 'x86').definitions.size).toBe(0);
  expect(readKconfig(() => 'if A\n'.repeat(1_000), 'x86').definitions.size).toBe(0);
  expect(readKconfig(() => `config A\n${'\\\n'.repeat(10_000)}`, 'x86').definitions.size).toBe(1);
  expect(readKconfig(() => undefined, 'x86').definitions.size).toBe(0);
});

const VALUES = new Set(['y', 'm', 'n', 'unknown']);
test('no text is too strange for an expression, and what is understood is written so that it is understood again', () => {
  const word = fc.constantFrom('A', 'B', '!', '(', ')', '&&', '||', '=', '!=', '"x"', 'y', '$(cc,-x)', '<', '12', '"');
  const texts = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 30 }).map((words) => words.join(' ')),
  );
  fc.assert(
    fc.property(texts, fc.constantFrom('y', 'm', 'n'), (text, a) => {
      const expression = parseExpression(text);
      const value = valueOf(expression, settings({ A: a, B: 'y' }));
      expect(VALUES.has(value)).toBe(true);
      expect(valueOf(parseExpression(wordsOf(expression)), settings({ A: a, B: 'y' }))).toBe(value);
      const lacking = lackingIn(expression, settings({ A: a, B: 'y' }), 'y');
      expect(lacking.length > 0).toBe(value === 'n' || value === 'm');
    }),
    { numRuns: 2_000 },
  );
});

test('no order of lines is too strange for a Kconfig file', () => {
  const line = fc.constantFrom(
    'config A',
    'config B',
    'bool "x"',
    '\tdepends on A',
    'if A',
    'endif',
    'menu "m"',
    'endmenu',
    'choice',
    'endchoice',
    '\thelp',
    '\t  config H',
    'select A if B',
    'range 1 2',
    'source "Kconfig"',
    'comment "c"',
    'visible if A',
    'depends on',
    'if',
    'config',
    'prompt "p" if',
    'default y',
    '\\',
    '"',
    '#',
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
      const { definitions, choices } = readKconfig(
        (path) => (path === 'Kconfig' ? lines.filter((one) => !one.startsWith('source')).join('\n') : undefined),
        'x86',
      );
      for (const [name, list] of definitions) expect([name, list.length > 0]).toEqual([expect.stringMatching(/^[ABH]$/), true]);
      for (const options of choices) for (const option of options) expect(definitions.has(option)).toBe(true);
    }),
  );
});
