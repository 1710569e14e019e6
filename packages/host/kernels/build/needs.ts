/** What the build of a kernel needs of this host. */
import { isThere } from '../../tools/files.ts';
import { imageFault } from '../../images/refusal.ts';

/** Where a build looks for programs, whatever the PATH of who asks: the same host gives the same compiler. */
export const BUILD_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A program, or a header by its path, and the Debian package that has it. */
const NEEDED: readonly (readonly [what: string, pkg: string])[] = [
  ['make', 'make'],
  ['gcc', 'gcc'],
  ['ld', 'binutils'],
  ['strip', 'binutils'],
  ['flex', 'flex'],
  ['bison', 'bison'],
  ['bc', 'bc'],
  ['perl', 'perl-base'],
  ['tar', 'tar'],
  ['xz', 'xz-utils'],
  ['dpkg-deb', 'dpkg'],
  ['apt-get', 'apt'],
  ['setpriv', 'util-linux'],
  ['timeout', 'coreutils'],
  ['/usr/include/stdio.h', 'libc6-dev'],
  ['/usr/include/gelf.h', 'libelf-dev'],
  ['/usr/include/openssl/opensslv.h', 'libssl-dev'],
];

/** Everything that is missing at once, with the line that brings it. */
export async function refuseWithoutTools(has: (what: string) => Promise<boolean> = isOnHost): Promise<void> {
  const missing: (readonly [string, string])[] = [];
  for (const one of NEEDED) if (!(await has(one[0]))) missing.push(one);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, pkg]) => pkg))].join(' ');
  throw imageFault(
    `A kernel cannot be built here without ${missing.map(([what]) => what).join(', ')}. Install what is missing: apt-get install --no-install-recommends ${packages}`,
  );
}

async function isOnHost(what: string): Promise<boolean> {
  if (what.startsWith('/')) return isThere(what);
  for (const folder of BUILD_PATH.split(':')) if (await isThere(`${folder}/${what}`)) return true;
  return false;
}
