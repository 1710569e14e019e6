import { expect, test } from 'vitest';
import { parsePackageRecord } from './distribution-package.ts';
import { kernelRecipeFor, parseOsRelease } from './kernel-package.ts';

/** As `apt-cache show` prints it on Debian 12 (shortened). */
const META = `Package: linux-image-cloud-amd64
Source: linux-signed-amd64 (6.1.192+2)
Version: 6.1.192-2
Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), other | alternative
Description: Linux for x86-64 cloud (meta-package)
 Depends: not this line
Size: 1504

Package: linux-image-cloud-amd64
Version: 6.1.176-1
`;

test('the first record of apt-cache show', () => {
  expect(parsePackageRecord(META)).toEqual({
    name: 'linux-image-cloud-amd64',
    version: '6.1.192-2',
    bytes: 1504,
    depends: ['linux-image-6.1.0-56-cloud-amd64', 'other'],
  });
  expect(parsePackageRecord('')).toBeUndefined();
  expect(parsePackageRecord('N: nothing\n')).toBeUndefined();
});

test('os-release values with and without quotes', () => {
  expect(parseOsRelease('ID=debian\nNAME="Debian GNU/Linux"\nX=\'y z\'\n# comment\nbroken\n')).toEqual({
    ID: 'debian',
    NAME: 'Debian GNU/Linux',
    X: 'y z',
  });
});

test.each([
  ['ID=debian\n', 'linux-image-6.1.0-56-cloud-amd64'],
  ['ID=ubuntu\nID_LIKE=debian\n', 'linux-image-6.8.0-45-generic'],
  ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'linux-image-6.8.0-45-generic'],
  ['ID=raspbian\nID_LIKE=debian\n', 'linux-image-6.1.0-56-cloud-amd64'],
])('the recipe for %j takes %s', (osRelease, image) => {
  expect(kernelRecipeFor(osRelease)?.image.test(image)).toBe(true);
});

test('Ubuntu keeps its modules in a second package', () => {
  expect(kernelRecipeFor('ID=ubuntu')?.modules?.('linux-image-6.8.0-45-generic')).toBe('linux-modules-6.8.0-45-generic');
});

test.each(['ID=fedora\n', '', 'ID=constructor\n'])('no recipe for %j', (osRelease) => {
  expect(kernelRecipeFor(osRelease)).toBeUndefined();
});
