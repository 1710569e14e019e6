import { describe, expect, test } from 'vitest';
import { contentsOf, differencesOf } from './contents.ts';
import { imageOf, link, script, unreadable, type Pieces } from './testing/memory-image.ts';
import type { Boot } from './facts/started.ts';

const status = (packages: Readonly<Record<string, string>>): string =>
  Object.entries(packages)
    .map(([name, version]) => `Package: ${name}\nStatus: install ok installed\nVersion: ${version}\nDescription: x\n y\n`)
    .join('\n');

const starts = (...units: string[]): Boot => ({
  started: new Map(units.map((unit) => [unit, {} as never])),
  missing: [],
  target: null,
});

const base: Pieces = {
  '/var/lib/dpkg/status': status({ openssl: '3.0.1', bash: '5.2' }),
  '/var/lib/dpkg/info/openssl.list': '/.\n/usr/bin/openssl\n/lib/x/libssl.so\n',
  '/var/lib/dpkg/info/bash:amd64.list': '/bin/bash\n',
  '/usr/bin/openssl': script('one'),
  '/usr/lib/x/libssl.so': 'one',
  '/usr/bin/bash': script('shell'),
  '/etc/hostname': 'here\n',
};

const diff = (a: Pieces, b: Pieces): unknown => differencesOf(contentsOf(imageOf(base, a), null), contentsOf(imageOf(base, b), null));

describe('what two root file systems hold', () => {
  test('the same is no difference', () => expect(diff({}, {})).toEqual([]));

  test.each<[string, Pieces, object[]]>([
    [
      'a file of the same size with other content',
      { '/etc/hostname': 'else\n' },
      [{ what: 'file /etc/hostname', from: 'file of 5 bytes 644 uid 0, as it was', to: 'file of 5 bytes 644 uid 0, with other content' }],
    ],
    [
      'another mode',
      { '/etc/hostname': { text: 'here\n', mode: 0o600 } },
      [{ what: 'file /etc/hostname', from: 'file of 5 bytes 644 uid 0', to: 'file of 5 bytes 600 uid 0' }],
    ],
    ['a file less', { '/etc/hostname': null }, [{ what: 'file /etc/hostname', from: 'file of 5 bytes 644 uid 0', to: null }]],
    [
      'a link',
      { '/etc/localtime': link('/usr/share/zoneinfo/UTC') },
      [{ what: 'file /etc/localtime', from: null, to: 'symlink to /usr/share/zoneinfo/UTC' }],
    ],
    [
      'a newer package: its files are told by it, wherever they really lie',
      {
        '/var/lib/dpkg/status': status({ openssl: '3.0.2', bash: '5.2' }),
        '/usr/bin/openssl': script('another'),
        '/usr/lib/x/libssl.so': 'another',
      },
      [{ what: 'package openssl', from: '3.0.1', to: '3.0.2' }],
    ],
    [
      'a file of a package that did not change',
      { '/usr/bin/bash': script('not the shell') },
      [{ what: 'file /usr/bin/bash', from: 'file of 5 bytes 755 uid 0', to: 'file of 13 bytes 755 uid 0' }],
    ],
    [
      'a package more, one that is only configured away, and one of Alpine',
      {
        '/var/lib/dpkg/status': `${status({ openssl: '3.0.1', bash: '5.2', vim: '9' })}\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n`,
        '/lib/apk/db/installed': 'C:Q1\nP:musl\nV:1.2.4-r2\n\n',
      },
      [
        { what: 'package musl', from: null, to: '1.2.4-r2' },
        { what: 'package vim', from: null, to: '9' },
        { what: 'file /lib', from: null, to: 'folder 755 uid 0' },
        { what: 'file /lib/apk', from: null, to: 'folder 755 uid 0' },
      ],
    ],
    [
      'what cannot be read is not compared, and said',
      { '/etc/secret': unreadable },
      [{ what: 'not compared: /etc/secret: the test says so', from: null, to: 'not read' }],
    ],
  ])('%s', (_, b, parts) => expect(diff({}, b)).toEqual(parts));

  test('a unit that is started, and one that is not any more', () => {
    const image = imageOf(base);
    expect(differencesOf(contentsOf(image, starts('ssh.service')), contentsOf(image, starts('cron.service')))).toEqual([
      { what: 'unit cron.service', from: null, to: 'started' },
      { what: 'unit ssh.service', from: 'started', to: null },
    ]);
  });

  test('very many files are counted', () => {
    const many = Object.fromEntries(Array.from({ length: 450 }, (__, at) => [`/srv/${at}`, 'x']));
    const parts = diff({}, many) as { what: string }[];
    expect(parts).toHaveLength(401);
    expect(parts.at(-1)).toEqual({ what: '51 more files', from: null, to: null });
  });
});
