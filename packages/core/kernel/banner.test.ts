import { expect, test } from 'vitest';
import { readBanner, versionOfRelease } from './banner.ts';

test.each([
  [
    'Linux version 6.1.192 (builder@kb) (gcc (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP Tue Nov 24 11:41:00 UTC 2026',
    {
      release: '6.1.192',
      user: 'builder',
      host: 'kb',
      compiler: 'gcc (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40',
      buildNumber: '1',
      flags: ['SMP'],
      date: 'Tue Nov 24 11:41:00 UTC 2026',
    },
  ],
  [
    'Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)',
    { release: '6.1.0-56-cloud-amd64', flags: ['SMP', 'PREEMPT_DYNAMIC'], date: 'Debian 6.1.192-2 (2026-11-16)' },
  ],
  [
    'Linux version 4.14.174 (@57edebb99db7) (gcc version 7.5.0 (Ubuntu 7.5.0-3ubuntu1~18.04)) #2 SMP Wed Jul 14 11:47:24 UTC 2021',
    { release: '4.14.174', user: '', host: '57edebb99db7', compiler: 'gcc version 7.5.0 (Ubuntu 7.5.0-3ubuntu1~18.04)', buildNumber: '2' },
  ],
  [
    'Linux version 5.15.0-91-generic (buildd@lcy02-amd64-045) (gcc (Ubuntu 11.4.0) 11.4.0) #101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023 (Ubuntu 5.15.0-91.101-generic 5.15.131)',
    { buildNumber: '101-Ubuntu', flags: ['SMP'], date: 'Tue Nov 14 13:30:08 UTC 2023 (Ubuntu 5.15.0-91.101-generic 5.15.131)' },
  ],
  // the header of a bzImage names no compiler, a kernel without SMP does not say so
  ['6.1.99-test (someone@somewhere) #1 Mon Nov 24', { release: '6.1.99-test', compiler: null, flags: [], date: 'Mon Nov 24' }],
  ['6.1.99', { release: '6.1.99', user: null, host: null, compiler: null, buildNumber: null, flags: [], date: null }],
  ['6.1.99 (no end of it #1', { release: '6.1.99', user: null, buildNumber: '1' }],
])('%s', (text, expected) => {
  expect(readBanner(text)).toMatchObject({ text, ...expected });
});

test('what begins with no number is no banner', () => {
  expect(readBanner('Linux version %s (builder)')).toBeNull();
  expect(readBanner('')).toBeNull();
});

test.each([
  ['6.1.0-56-cloud-amd64', [6, 1, 0]],
  ['6.18', [6, 18, 0]],
  ['5.10.252-285.992.amzn2.x86_64', [5, 10, 252]],
  ['6.12.107+deb12-cloud-amd64', [6, 12, 107]],
  ['4.4.1234', [4, 4, 1234]],
  ['next-2026', null],
] as const)('the version of release %s', (release, numbers) => {
  const version = versionOfRelease(release);
  expect(version === null ? null : [version.major, version.minor, version.patch]).toEqual(numbers);
});
