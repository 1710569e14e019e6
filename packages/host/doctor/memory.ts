/** Memory: what of a guest's could be found elsewhere, and whether there is enough of the right kind. */
import {
  bad,
  byFile,
  memoryBytes,
  notANumber,
  notApplicable,
  ok,
  some,
  textOf,
  unknown,
  unread,
  wholeNumber,
  type Check,
  type Finding,
} from './check.ts';
import type { HostReadings } from './readings.ts';

const ksm = '/sys/kernel/mm/ksm/run';
const reserve = '/proc/sys/vm/min_free_kbytes';
const pool = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
const free = '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages';
const transparent = '/sys/kernel/mm/transparent_hugepage/enabled';
const userfaultfd = '/proc/sys/vm/unprivileged_userfaultfd';
/** What the kernel itself sets with huge pages, for two zones of memory (mm/khugepaged.c; 67,584 for three), and never over 5 % of memory. */
const RESERVE_KIB = 45_056;
const MOST_RESERVED = 0.05;

export const memoryChecks: readonly Check[] = [
  {
    id: 'memory.swap-off',
    grade: 'must',
    expected: 'no swap in /proc/swaps',
    why: 'Swap leaves pages of guests on a disk, where they outlive the guest, and makes guests slow in a way that nothing shows. A host with one tenant, or for development, may ignore it.',
    fix: 'swapoff -a, and take the swap lines out of /etc/fstab; or encrypt swap with a key that is made at each boot',
    look: (host) =>
      byFile(host, '/proc/swaps', ok('there is no /proc/swaps: this kernel cannot swap'), (text) => {
        const [head = '', ...areas] = text.split('\n').filter((line) => line.trim() !== '');
        if (!head.startsWith('Filename')) return unknown('/proc/swaps has no heading', 'Look at it by hand: swapon --show');
        return areas.length === 0
          ? ok('/proc/swaps lists none')
          : bad(`/proc/swaps lists ${some(areas.map((line) => line.split(/\s/)[0] ?? ''))}`);
      }),
  },
  {
    id: 'memory.ksm-off',
    grade: 'must',
    expected: '0 (off), or 2 (off, and what was merged is apart again)',
    why: 'Merged pages let a guest learn by timing what memory of others holds. A host with one tenant may ignore it.',
    fix: `echo 2 > ${ksm}, and switch off what turns it on (ksmtuned)`,
    look: (host) =>
      byFile(host, ksm, ok(`there is no ${ksm}: this kernel merges no pages`), (text) => {
        const mode = wholeNumber(text);
        if (mode === null) return notANumber(ksm, text);
        return (mode === 0 || mode === 2 ? ok : bad)(`${mode} in ${ksm}`);
      }),
  },
  {
    id: 'memory.ecc',
    grade: 'must',
    expected: 'memory controllers that report errors (EDAC)',
    why: 'Without ECC a guest can turn bits of others by hammering its own memory (Rowhammer), and errors of the memory itself go unseen. A host with one tenant, or for development, may ignore it.',
    fix: 'Use server memory with ECC, and load the EDAC driver of the chipset',
    look: ({ memoryControllers: folder, ...host }) => {
      const where = '/sys/devices/system/edac/mc';
      if (folder.is === 'denied') return unread({ memoryControllers: folder, ...host }, where, folder.errno);
      const found = folder.is === 'read' ? folder.entries.map(({ name }) => name).filter((name) => /^mc\d+$/.test(name)) : [];
      if (found.length > 0) return ok(`${some(found)} in ${where}`);
      return unknown(
        `no memory controller in ${where}: no ECC, or no driver for it`,
        'As root: dmidecode -t memory | grep "Error Correction".',
      );
    },
  },
  {
    id: 'memory.reserve',
    grade: 'should',
    expected: `at least ${RESERVE_KIB} kB, or 5 % of memory where that is less`,
    why: 'To make a VM the kernel needs pages in one piece. Without a reserve it finds none under load ("page allocation failure: order:6"), and the VM does not start.',
    fix: `sysctl -w vm.min_free_kbytes=${RESERVE_KIB}, and for good in /etc/sysctl.d`,
    look: (host) =>
      byFile(host, reserve, unknown(`there is no ${reserve}`, 'Look at it by hand: sysctl vm.min_free_kbytes'), (text) => {
        const kib = wholeNumber(text);
        if (kib === null) return notANumber(reserve, text);
        const all = memoryBytes(host);
        const enough = Math.min(RESERVE_KIB, all === null ? RESERVE_KIB : Math.floor((all / 1024) * MOST_RESERVED));
        return kib >= enough ? ok(`${kib} in ${reserve}`) : bad(`${kib} in ${reserve}`, { expected: `at least ${enough} kB` });
      }),
  },
  {
    id: 'memory.huge-pages',
    grade: 'may',
    expected: 'where there is a pool of 2 MiB pages, some of it is free',
    why: 'Guests with huge pages take them from this pool only, and what is lacking shows as a SIGBUS in the middle of a run.',
    fix: `sysctl -w vm.nr_hugepages=N, with 512 for each GiB of guest memory`,
    look: hugePages,
  },
  {
    id: 'memory.transparent-huge-pages',
    grade: 'may',
    expected: 'madvise or always',
    why: 'Guest memory in huge pages means fewer faults at boot and shorter page walks afterwards.',
    fix: `echo madvise > ${transparent}`,
    look: (host) =>
      byFile(host, transparent, bad(`there is no ${transparent}: this kernel has none`), (text) => {
        const chosen = /\[(always|madvise|never)\]/.exec(text)?.[1];
        if (chosen === undefined) return unknown(`${transparent} names no choice`, `Look at it by hand: cat ${transparent}`);
        return (chosen === 'never' ? bad : ok)(`${chosen} in ${transparent}`);
      }),
  },
  {
    id: 'memory.userfaultfd',
    grade: 'should',
    expected: '/dev/userfaultfd (Linux 6.1), or 1 in vm.unprivileged_userfaultfd',
    why: 'A snapshot can be restored page by page only where the VMM, which is not root, may use it. Linstock takes no snapshots yet.',
    fix: 'Use a kernel from 6.1 on with CONFIG_USERFAULTFD',
    look: (host) => {
      if (host.userfaultfd === 'there') return ok('/dev/userfaultfd is there');
      return byFile(host, userfaultfd, bad(`there is neither /dev/userfaultfd nor ${userfaultfd}`), (text) =>
        (text === '1' ? ok : bad)(`there is no /dev/userfaultfd, and ${text} in ${userfaultfd}`),
      );
    },
  },
];

function hugePages(host: HostReadings): Finding {
  return byFile(host, pool, notApplicable(`there is no ${pool}: this kernel has no such pages`), (text) => {
    const all = wholeNumber(text);
    if (all === null) return notANumber(pool, text);
    if (all === 0) return notApplicable('no pool; only guests with huge pages would need one');
    return byFile(host, free, unknown(`there is no ${free}`, `Look at it by hand: cat ${free}`), (left) => {
      const unused = wholeNumber(left);
      if (unused === null) return notANumber(free, textOf(host.files[free]) ?? '');
      return (unused > 0 ? ok : bad)(`${unused} of ${all} pages of 2 MiB are free`);
    });
  });
}
