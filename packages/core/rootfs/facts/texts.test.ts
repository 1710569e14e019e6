/** The parsers of texts: what they take out of what people write. */
import { describe, expect, test } from 'vitest';
import { imageOf } from '../testing/memory-image.ts';
import { fstabOf } from './fstab.ts';
import { matchesGlob } from './glob.ts';
import { ifupdownOf } from './ifupdown.ts';
import { booleanOf, lastOf, parseIni, valuesOf } from './ini.ts';
import { endpointsOf, isLoopback } from './listener-programs.ts';
import { osReleaseOf } from './os-release.ts';
import { plainWords, shellCommands } from './shell-words.ts';
import { parseYaml, textUnder, under } from './yaml.ts';

describe('files of sections and keys', () => {
  const settings = parseIni(
    '# x\n[Unit]\nAfter=a.service \\\n  # between\n  b.service\n\n[Service]\nExecStart=/bin/a\nExecStart=\nExecStart = /bin/b --x=y ; c\n; z\nnothing\n[Install\nWantedBy=m\n',
    '/u',
  );
  test('a line may go on, and a comment does not end it', () => {
    expect(settings[0]).toEqual({ section: 'Unit', key: 'After', value: 'a.service  b.service', path: '/u', line: 3 });
  });
  test('an empty value forgets what came before', () => {
    expect(valuesOf(settings, 'Service', 'ExecStart').map(({ value, line }) => [value, line])).toEqual([['/bin/b --x=y ; c', 10]]);
    expect(lastOf(settings, 'Service', 'ExecStop')).toBeNull();
  });
  test('a broken head is no head', () => {
    expect(settings.at(-1)).toMatchObject({ section: 'Service', key: 'WantedBy' });
  });
  test.each([
    ['Yes', true],
    ['1', true],
    ['off', false],
    ['maybe', null],
  ])('%s is %s', (word, is) => expect(booleanOf(word)).toBe(is));
});

describe('patterns', () => {
  test.each([
    ['eth*', 'eth0', true],
    ['*', '', true],
    ['e?h0', 'eth0', true],
    ['e?h0', 'eh0', false],
    ['en[ps]*', 'ens3', true],
    ['en[!ps]*', 'ens3', false],
    ['[a-f]x', 'cx', true],
    ['[]a]', ']', true],
    ['a[', 'a[', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['*a*b*c', 'xxaxxbxxc', true],
    ['*a*b*c', 'xxbxxaxxc', false],
    ['', 'a', false],
  ])('%s on %s: %s', (pattern, text, is) => expect(matchesGlob(pattern, text)).toBe(is));
  test('many stars cost no more than their number times the text', () => {
    expect(matchesGlob(`${'*a'.repeat(2_000)}b`, 'a'.repeat(20_000))).toBe(false);
  });
});

describe('YAML', () => {
  const plain = (text: string): unknown => {
    const strip = (yaml: ReturnType<typeof parseYaml>): unknown => {
      if (yaml === null || yaml.is === 'text') return yaml?.text ?? null;
      return yaml.is === 'list' ? yaml.items.map(strip) : Object.fromEntries(yaml.entries.map(({ key, value }) => [key, strip(value)]));
    };
    return strip(parseYaml(text));
  };
  test.each([
    ['a: b', { a: 'b' }],
    ["a:\n  b: c # d\n  e: \"f # g\"\nh: 'i''j'", { a: { b: 'c', e: 'f # g' }, h: "i'j" }],
    ['a:\n- b\n- c\nd: e', { a: ['b', 'c'], d: 'e' }],
    ['a:\n  - b: c\n    d: e\n  -\n    f', { a: [{ b: 'c', d: 'e' }, 'f'] }],
    ['- - a\n  - b\n- c', [['a', 'b'], 'c']],
    ['a: [b, "c, d", [e], {f: g, h: }]', { a: ['b', 'c, d', ['e'], { f: 'g', h: '' }] }],
    ['a: [\n  b,\n  c\n]\nd: e', { a: ['b', 'c'], d: 'e' }],
    ['a: {name: "en*"}', { a: { name: 'en*' } }],
    ['a: |\n  b: c\n  d\ne: f', { a: 'b: c\nd', e: 'f' }],
    ['---\na: ::1\nb: http://x/y', { a: '::1', b: 'http://x/y' }],
    ['"a b": c\na-b: d', { 'a b': 'c', 'a-b': 'd' }],
    ['a:\nb: c', { a: '', b: 'c' }],
    ['', ''],
  ])('%j', (text, expected) => expect(plain(text)).toEqual(expected));
  test.each([['a: &x b'], ['a: *x'], ['a: [b'], ['a: {b: [}'], [' a: b\nc: d'], ['a: b\n  c: d'], ['a: !!map b']])(
    '%j is not understood',
    (text) => {
      expect(parseYaml(text)).toBeNull();
    },
  );
  test('lines are those of the file', () => {
    const yaml = parseYaml('network:\n  # x\n  ethernets:\n    eth0:\n      dhcp4: true\n');
    expect(textUnder(yaml, 'network', 'ethernets', 'eth0', 'dhcp4')).toEqual({ is: 'text', text: 'true', line: 5 });
    expect(under(yaml, 'network', 'bridges')).toBeNull();
  });
  test('depth has a bound', () => {
    expect(parseYaml('['.repeat(10_000))).toBeNull();
    expect(parseYaml(Array.from({ length: 200 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'))).toBeNull();
  });
});

describe('commands', () => {
  test.each([
    ['a "b c" \'d e\' f\\ g', ['a', 'b c', 'd e', 'f g']],
    ['a; b | c & d && e', ['a;', 'b', '|', 'c', '&', 'd', '&&', 'e']],
    ['', []],
  ])('%s as systemd reads it', (text, words) => expect(plainWords(text)).toEqual(words));
  test('a shell text falls into simple commands with their lines', () => {
    const text = '#!/bin/sh\nPORT=6080 # x\nfoo --a "$PORT" && bar \\\n  -b ${HOST:-0.0.0.0}:${PORT} 2>&1 &\nif x; then baz $UNKNOWN; fi\n';
    expect(shellCommands(text)).toEqual([
      { words: ['foo', '--a', '6080'], line: 4 },
      { words: ['bar', '-b', '0.0.0.0:6080', '2>&1'], line: 4 },
      { words: ['if', 'x'], line: 5 },
      { words: ['then', 'baz', '$UNKNOWN'], line: 5 },
      { words: ['fi'], line: 5 },
    ]);
  });
  test.each([
    ['websockify 6080 localhost:5901', null, 6080],
    ['websockify --web /usr/share/novnc --cert x.pem -D 127.0.0.1:6080 localhost:5901', '127.0.0.1', 6080],
    ['/usr/share/novnc/utils/novnc_proxy --vnc localhost:5901 --listen 6081', null, 6081],
    ['/usr/share/novnc/utils/launch.sh --vnc localhost:5901', null, 6080],
    ['python3 -m websockify 6080 localhost:5901', null, 6080],
    ['python3 -m http.server 8000 --bind 127.0.0.1', '127.0.0.1', 8000],
    ['/usr/bin/python3 /usr/bin/websockify 6080 localhost:5901', null, 6080],
    ['busybox httpd -f -p 127.0.0.1:80 -h /www', '127.0.0.1', 80],
    ['httpd -p80', null, 80],
    ['Xtigervnc :1 -localhost -geometry 1x1', '127.0.0.1', 5901],
    ['vncserver :2 -localhost no', null, 5902],
    ['x11vnc -display :0 -rfbport 5900 -localhost', '127.0.0.1', 5900],
    ['sudo -u app env A=b nohup app --host 0.0.0.0 --port=8080', null, 8080],
    ['timeout 10 app --bind [::1]:9000', '[::1]', 9000],
    ['socat TCP-LISTEN:7000,fork,bind=127.0.0.1 UNIX:/x', '127.0.0.1', 7000],
    ['uvicorn main:app --port 8001', '127.0.0.1', 8001],
    ['code-server', '127.0.0.1', 8080],
    ['node server.js --port 3000', null, 3000],
  ])('%s', (line, address, port) => {
    const [first] = endpointsOf(plainWords(line));
    expect(first).toMatchObject({ address, port });
    expect(isLoopback(address)).toBe(address !== null);
  });
  test.each(['node server.js', 'httpd -p 99999', 'app --port x', 'websockify', ''])('%s says nothing', (line) => {
    expect(endpointsOf(plainWords(line))).toEqual([]);
  });
});

describe('other files', () => {
  test('fstab: comments, blanks as \\040', () => {
    const view = imageOf({ '/etc/fstab': '# x\n\n/dev/vda\t/a\\040b ext4 rw,nofail 0 1\nbroken\n' });
    expect(fstabOf(view)).toEqual([{ device: '/dev/vda', at: '/a b', type: 'ext4', options: ['rw', 'nofail'], line: 3 }]);
  });
  test('interfaces: sources, families, options', () => {
    const view = imageOf({
      '/etc/network/interfaces': 'source-directory /etc/network/more\nauto lo eth0\niface lo inet loopback\niface eth0 inet6 auto\n',
      '/etc/network/more/eth0': 'iface eth0 inet static\n\taddress 10.0.0.1/24\n\tgateway 10.0.0.254\n',
      '/etc/network/more/not.this': 'iface eth9 inet dhcp\n',
    });
    expect(ifupdownOf(view)).toMatchObject({
      auto: [
        { name: 'lo', line: 2 },
        { name: 'eth0', line: 2 },
      ],
      stanzas: [
        { name: 'lo', method: 'loopback' },
        { name: 'eth0', path: '/etc/network/more/eth0', options: [{ key: 'address', value: '10.0.0.1/24' }, { key: 'gateway' }] },
      ],
    });
  });
  test('a file that sources itself is read a bounded number of times', () => {
    const view = imageOf({ '/etc/network/interfaces': 'source /etc/network/interfaces\nauto eth0\n' });
    expect(ifupdownOf(view).auto.length).toBeLessThanOrEqual(64);
  });
  test('os-release', () => {
    expect(osReleaseOf(imageOf({ '/usr/lib/os-release': 'ID=a\nPRETTY_NAME="A b"\n' }))).toEqual({ id: 'a', version: null, name: 'A b' });
  });
});
