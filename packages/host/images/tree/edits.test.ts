import { expect, test } from 'vitest';
import type { RecipeUser } from '@linstock/contract';
import { accountNamed, withFixedDays, withUser } from './accounts.ts';
import type { AccountFiles } from './accounts.ts';
import { nameMatcher, removeMatches } from './glob.ts';
import { Tree, fileNode, linkNode } from './tree.ts';
import { disableUnit, enableUnit, installSection, maskUnit } from './units.ts';

const files: AccountFiles = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n',
  group: 'root:x:0:\ndaemon:x:1:\nsudo:x:27:\naudio:x:29:pulse\n',
  shadow: 'root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n',
};
const user = (more: Partial<RecipeUser> & { name: string }): RecipeUser => ({ groups: [], password: 'locked', ...more });

test.each<[string, RecipeUser, Partial<AccountFiles>]>([
  [
    'a new one gets the next free id, a group of its own and a home',
    user({ name: 'ann' }),
    {
      passwd: `${files.passwd}ann:x:1000:1000::/home/ann:/bin/sh\n`,
      group: `${files.group}ann:x:1000:\n`,
      shadow: `${files.shadow}ann:!:19723:0:99999:7:::\n`,
    },
  ],
  [
    'groups are joined once',
    user({ name: 'ann', uid: 5000, groups: ['sudo', 'audio'] }),
    { group: 'root:x:0:\ndaemon:x:1:\nsudo:x:27:ann\naudio:x:29:pulse,ann\nann:x:5000:\n' },
  ],
  [
    'root is changed where it stands',
    user({ name: 'root', password: 'empty', shell: '/bin/sh' }),
    {
      passwd: files.passwd.replace('/bin/bash', '/bin/sh'),
      group: files.group,
      shadow: 'root::19723:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n',
    },
  ],
  [
    'a hash is taken as it is',
    user({ name: 'ann', password: '$6$saltsalt$0123456789' }),
    { shadow: `${files.shadow}ann:$6$saltsalt$0123456789:19723:0:99999:7:::\n` },
  ],
])('users: %s', (_, wish, expected) => {
  expect(withUser(files, wish)).toMatchObject({ ok: true, files: expected });
});

test.each<[RecipeUser, RegExp]>([
  [user({ name: 'ann', uid: 1 }), /uid 1 of user ann belongs to another user/],
  [user({ name: 'ann', uid: 27 }), /gid 27 of user ann belongs to another group/],
  [user({ name: 'ann', groups: ['wheel'] }), /in the group wheel, which the image does not have/],
])('users that cannot be: %j', (wish, says) => {
  const result = withUser(files, wish);
  expect(result.ok ? '' : result.say).toMatch(says);
});

test('without a shadow the password stands in passwd, and an image without users gets its first', () => {
  expect(withUser({ passwd: '', group: '', shadow: undefined }, user({ name: 'root', uid: 0, home: '/root' }))).toMatchObject({
    ok: true,
    files: { passwd: 'root:*:0:0::/root:/bin/sh\n', group: 'root:x:0:\n', shadow: undefined },
  });
});

test('days of passwords do not tell when an image was built', () => {
  expect(withFixedDays('a:*:20000:0:99999:7:::\nb:*::0:::::\n')).toBe('a:*:19723:0:99999:7:::\nb:*::0:::::\n');
});

test.each([
  ['root', { uid: 0, gid: 0, home: '/root', groups: [] }],
  ['1', { uid: 1, gid: 1, home: '/usr/sbin', groups: [] }],
  ['pulse', null],
  ['4711', { uid: 4711, gid: 0, home: '/', groups: [] }],
  ['daemon:audio', { uid: 1, gid: 29, home: '/usr/sbin', groups: [] }],
  ['5:6', { uid: 5, gid: 6, home: '/', groups: [] }],
  ['root:none', null],
  ['-1', null],
])('the account %j', (named, account) => {
  expect(accountNamed(files, named)).toEqual(account);
});

test.each([
  ['*.so', 'lib.so', true],
  ['*.so', 'lib.so.1', false],
  ['lib?.so', 'libé.so', true],
  ['*a*b*', 'xxaxxbxx', true],
  ['*a*b*', 'xxbxxaxx', false],
  ['', '', true],
  ['*', '.hidden', true],
  ['a.c', 'abc', false],
])('%j fits %j: %j', (pattern, name, fits) => {
  expect(nameMatcher(pattern)(name)).toBe(fits);
});

test('a pattern of many stars takes no time', () => {
  expect(nameMatcher(`${'*a'.repeat(60)}b`)('a'.repeat(250))).toBe(false);
});

test.each<[string, readonly string[]]>([
  ['usr/lib/*.so', ['usr/lib/a.so']],
  ['usr/**/*.so', ['usr/lib/a.so', 'usr/lib/deep/b.so']],
  ['/usr/lib/', ['usr/lib', 'usr/lib/a.so', 'usr/lib/deep', 'usr/lib/deep/b.so']],
  ['**/b.so', ['usr/lib/deep/b.so']],
  ['usr/**', ['usr/lib', 'usr/lib/a.so', 'usr/lib/deep', 'usr/lib/deep/b.so', 'usr/x']],
  ['lib/*', []], // a link: its name is not the folder it leads to
  ['absent/*', []],
])('removing %j', (pattern, gone) => {
  const tree = new Tree();
  for (const path of ['usr/lib/a.so', 'usr/lib/deep/b.so', 'usr/x', 'etc/y']) tree.put(path, fileNode(''));
  tree.put('lib', linkNode('usr/lib'));
  const before = [...tree.walk()].map(({ path }) => path);
  removeMatches(tree, pattern);
  expect([...tree.walk()].map(({ path }) => path)).toEqual(before.filter((path) => !gone.includes(path)));
});

test('an [Install] section', () => {
  expect(
    installSection(
      '[Unit]\nWantedBy=no.target\n[Install]\n# WantedBy=no.target\nWantedBy=a.target \\\n b.target\nWantedBy=c.target\nAlias=old.service\nAlias=\nAlias = other.service\n',
    ),
  ).toEqual({ wantedBy: ['a.target', 'b.target', 'c.target'], requiredBy: [], alias: ['other.service'], also: [] });
});

test('units are enabled, disabled and masked by links', async () => {
  const tree = new Tree();
  tree.put('usr/lib/systemd/system/a.service', fileNode('[Install]\nWantedBy=multi-user.target\nAlias=alias.service\nAlso=a.socket\n'));
  tree.put('usr/lib/systemd/system/a.socket', fileNode('[Install]\nRequiredBy=sockets.target\nAlso=a.service\n'));
  tree.put('usr/lib/systemd/system/get@.service', fileNode('[Install]\nWantedBy=getty.target\n'));
  tree.put('usr/lib/systemd/system/static.service', fileNode('[Service]\n'));
  const links = (): string[] =>
    [...tree.walk()].flatMap(({ path, node }) =>
      node.kind === 'symlink' ? [`${path.replace('etc/systemd/system/', '')} -> ${node.target}`] : [],
    );
  await enableUnit(tree, 'a.service');
  await enableUnit(tree, 'get@one.service');
  expect(links()).toEqual([
    'alias.service -> /usr/lib/systemd/system/a.service',
    'getty.target.wants/get@one.service -> /usr/lib/systemd/system/get@.service',
    'multi-user.target.wants/a.service -> /usr/lib/systemd/system/a.service',
    'sockets.target.requires/a.socket -> /usr/lib/systemd/system/a.socket',
  ]);
  await disableUnit(tree, 'a.service');
  maskUnit(tree, 'gone.timer');
  expect(links()).toEqual([
    'getty.target.wants/get@one.service -> /usr/lib/systemd/system/get@.service',
    'gone.timer -> /dev/null',
    'sockets.target.requires/a.socket -> /usr/lib/systemd/system/a.socket',
  ]);
  await expect(enableUnit(tree, 'static.service')).rejects.toThrow(/no \[Install\] section/);
  await expect(enableUnit(tree, 'absent.service')).rejects.toThrow(/no unit absent\.service/);
});
