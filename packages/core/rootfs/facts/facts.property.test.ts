/** Whatever stands in the files of an image: facts and findings come out, nothing throws, nothing hangs, and what is shown is clean. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findingsOf, rootfsRules } from '../lint.ts';
import { imageOf } from '../testing/memory-image.ts';
import type { Piece, Pieces } from '../testing/memory-image.ts';
import { alpine, contextOf, debian, enable, factsIn } from '../testing/systems.ts';

/** Words that the parsers look for, so that random texts come near to what they know. */
const words = fc.constantFrom(
  '[Match]',
  '[Network]',
  '[Service]',
  '[Unit]',
  'Name=',
  'DHCP=yes',
  'ExecStart=',
  'After=network-online.target',
  'ListenStream=',
  '\\',
  '\n',
  '\n  ',
  '- ',
  'network:',
  'ethernets:',
  'eth0:',
  'dhcp4: true',
  '[',
  ']',
  '{',
  '}',
  ': ',
  '"',
  "'",
  '#',
  '&a',
  '*',
  '|',
  '${',
  'x'.repeat(300),
  'auto eth0',
  'iface eth0 inet dhcp',
  'source /etc/network/*',
  '#!/bin/sh',
  'websockify 127.0.0.1:6080',
  '::respawn:',
  '6080',
  '/dev/sda1 / ext4',
  'root::0:0:::',
);
const text = fc
  .array(fc.oneof({ weight: 4, arbitrary: words }, fc.string({ unit: 'binary', maxLength: 12 })), { maxLength: 40 })
  .map((parts) => parts.join(''));
const piece: fc.Arbitrary<Piece | string | null> = fc.oneof(
  { weight: 6, arbitrary: text },
  fc.uint8Array({ maxLength: 200 }).map((bytes): Piece => ({ bytes, mode: 0o755 })),
  fc.constantFrom('/', '..', '/etc', 'x', '/dev/null', '/usr/lib/systemd/system/a.service').map((target): Piece => ({ target })),
  fc.constantFrom<Piece | null>({ unreadable: 'x' }, { folder: true }, null),
);
const more: Pieces = {
  ...enable('systemd-networkd.service', 'novnc.service'),
  '/etc/systemd/network/80-dhcp.network': '[Match]\nName=eth0\n',
  '/etc/systemd/network/10-x.link': '[Match]\nDriver=virtio_net\n',
  '/etc/systemd/system/novnc.service': '[Service]\nExecStart=/usr/bin/websockify 6080\n',
  '/etc/systemd/system/novnc.service.d/x.conf': '[Service]\nEnvironmentFile=/etc/default/x\n',
  '/usr/bin/websockify': '#!/bin/sh\n',
  '/usr/lib/systemd/system-generators/netplan': 'x',
  '/etc/netplan/a.yaml': 'network:\n',
  '/etc/network/interfaces': 'auto eth0\n',
  '/etc/cloud/cloud.cfg': 'a: b\n',
  '/usr/bin/cloud-init': 'x',
  '/etc/NetworkManager/system-connections/a': '[connection]\n',
  '/etc/ssh/sshd_config': 'Port 22\n',
  '/etc/nginx/nginx.conf': 'listen 80;\n',
  '/etc/resolv.conf': 'nameserver 1.1.1.1\n',
};

test.each([
  ['Debian', debian],
  ['Alpine', alpine],
])('a %s with other things in its files', (_, base) => {
  const paths = Object.keys({ ...base, ...more });
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...paths), piece, { maxKeys: 12 }),
      fc.constantFrom('', 'uninitialized\n'),
      (changes, machineId) => {
        const image = imageOf(base, more, { '/etc/machine-id': machineId }, changes);
        const given = { ports: [6080, 22], commandLine: 'console=ttyS0 ip=192.168.100.3::192.168.100.1:255.255.255.0::eth0:off' };
        const findings = findingsOf(factsIn(image, given), contextOf(given));
        for (const { id, what, path, fix, predicts } of findings) {
          expect(rootfsRules.map((rule) => rule.id)).toContain(id);
          // eslint-disable-next-line no-control-regex
          expect(`${what}${path ?? ''}${fix}${predicts}`).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        }
      },
    ),
    { numRuns: 200 },
  );
});

/** Each would make a careless pattern take hours; the bound is the time that the test may take. */
test.each([
  ['spaces', ' '.repeat(250_000)],
  ['an address that never comes to its device', 'ip addr add '.repeat(20_000)],
  ['keys without a colon', `${'a '.repeat(100_000)}#`],
  ['brackets', '['.repeat(250_000)],
  ['open expansions', '${A:-'.repeat(50_000)],
  ['braces', '}'.repeat(250_000)],
  ['quotes', '"\\'.repeat(100_000)],
  ['many commands', 'command=x\n'.repeat(20_000)],
  ['short lines', 'a: b\n'.repeat(50_000)],
  ['deeper and deeper', Array.from({ length: 600 }, (_, index) => `${' '.repeat(index)}a:`).join('\n')],
])('a file of %s in every place', (_, text) => {
  for (const base of [debian, alpine]) {
    const files = Object.keys({ ...base, ...more }).filter(
      (path) => /^\/etc\/|\/system\/|websockify/.test(path) && path !== '/etc/init.d/httpd',
    );
    const image = imageOf(base, more, Object.fromEntries(files.map((path) => [path, `#!/bin/sh\n${text}`])));
    expect(findingsOf(factsIn(image), contextOf())).toBeInstanceOf(Array);
  }
});
