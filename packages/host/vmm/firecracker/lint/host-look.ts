/**
 * The look at this machine for a configuration: what its paths lead to, what its TAPs are. Thin: it judges nothing (host-judge.ts), changes
 * nothing, connects to nothing, and what cannot be seen is a value.
 */
import { constants, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { MAGIC_BYTES } from '@linstock/core';
import { parseArrays, recordOf, textOf } from '../../../network/links.ts';
import { exec, succeeded } from '../../../tools/exec.ts';
import { isAbsence } from '../../../tools/files.ts';
import { allPids, commandOf, readKernelFile } from '../../../tools/procs.ts';
import type { Section } from './finding.ts';
import type { FileSight, HostSight, TapSight } from './host-sight.ts';
import { pathsIn, tapsIn } from './paths.ts';

const mib = 1024 * 1024;
const toolMs = 10_000;
/** 1,000 VMs have 3,000 links of 1.5 KB. */
const mostLinksBytes = 16 * mib;

export async function lookAtHost(config: Section, folder: string, signal?: AbortSignal): Promise<HostSight> {
  const sockets = boundSockets();
  const files = new Map<string, FileSight>();
  for (const { path } of pathsIn(config)) if (!files.has(path)) files.set(path, await lookAtFile(path, folder, sockets));
  const pages = readKernelFile('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages')?.toString('latin1');
  return {
    folder,
    user: { id: process.geteuid?.() ?? 0, groups: process.getgroups?.() ?? [] },
    files,
    taps: await lookAtTaps(new Set(tapsIn(config).map(({ name }) => name)), signal),
    memoryMiB: Math.floor(totalmem() / mib),
    freeHugePages: pages === undefined ? null : Number(pages),
  };
}

async function lookAtFile(path: string, from: string, sockets: ReadonlySet<string> | null): Promise<FileSight> {
  const whole = resolve(from, path);
  let facts: Stats;
  try {
    facts = await stat(whole);
  } catch (error) {
    if (!isAbsence(error)) return { is: 'closed', code: (error as NodeJS.ErrnoException).code ?? 'unknown' };
    const folder = dirname(whole);
    return {
      is: 'absent',
      folder: !(await may(folder, constants.F_OK)) ? 'absent' : (await may(folder, constants.W_OK)) ? 'writable' : 'closed',
    };
  }
  const kind = facts.isFile()
    ? 'file'
    : facts.isDirectory()
      ? 'folder'
      : facts.isBlockDevice()
        ? 'block'
        : facts.isSocket()
          ? 'socket'
          : 'other';
  const readable = await may(whole, constants.R_OK);
  return {
    is: 'there',
    kind,
    bytes: kind === 'file' ? facts.size : null,
    id: `${facts.dev}:${facts.ino}`,
    readable,
    writable: await may(whole, constants.W_OK),
    // others, such as a FIFO without a writer, would keep us waiting
    head: readable && (kind === 'file' || kind === 'block') ? await headOf(whole) : null,
    listening: kind !== 'socket' || sockets === null ? null : sockets.has(whole) || sockets.has(path),
  };
}

async function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

async function headOf(path: string): Promise<Uint8Array | null> {
  try {
    const file = await open(path, 'r');
    try {
      const head = Buffer.alloc(MAGIC_BYTES);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      return head.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    return null; // it went, or its disk reports errors: nothing is known of its bytes
  }
}

/** Names of the sockets that somebody has bound, as they were written; the last column of /proc/net/unix (net/unix/af_unix.c). */
function boundSockets(): ReadonlySet<string> | null {
  const text = readKernelFile('/proc/net/unix')?.toString('utf8');
  if (text === undefined) return null;
  return new Set(text.split('\n').flatMap((line) => /^\S+: (?:\S+ +){5}\S+ (.+)$/.exec(line)?.[1] ?? []));
}

async function lookAtTaps(names: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, TapSight> | null> {
  const taps = new Map<string, TapSight>();
  if (names.size === 0) return taps;
  const links = await exec(['ip', '-json', '-details', 'link', 'show'], { timeoutMs: toolMs, maxOutputBytes: mostLinksBytes, signal });
  if (!succeeded(links)) return null;
  const found = parseArrays(links.stdout).filter((link) => names.has(textOf(link['ifname']) ?? ''));
  const holders = found.length === 0 ? new Map<string, number>() : tapHolders();
  for (const link of found) {
    const name = textOf(link['ifname']) ?? '';
    const info = recordOf(link['linkinfo']);
    const data = recordOf(info['info_data']);
    const flags = Array.isArray(link['flags']) ? link['flags'] : [];
    const tap = info['info_kind'] === 'tun' && data['type'] === 'tap';
    const pid = holders.get(name);
    taps.set(name, {
      tap,
      multiQueue: data['multi_queue'] === true,
      up: flags.includes('UP'),
      // a TAP has carrier while somebody has it open (tun_attach and tun_detach, drivers/net/tun.c)
      busy: tap && flags.includes('LOWER_UP'),
      owner: numberIn(`/sys/class/net/${name}/owner`),
      group: numberIn(`/sys/class/net/${name}/group`),
      holder: pid === undefined ? null : { pid, command: basename(commandOf(pid)[0] ?? '?') },
    });
  }
  return taps;
}

/** `-1` stands for nobody (drivers/net/tun.c). */
function numberIn(path: string): number | null {
  const text = readKernelFile(path)?.toString('latin1').trim() ?? '';
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}

/** Which process has which TAP open: `iff:` in /proc/PID/fdinfo (tun_chr_show_fdinfo, drivers/net/tun.c). Those of others only root sees. */
function tapHolders(): Map<string, number> {
  const holders = new Map<string, number>();
  for (const pid of allPids()) {
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      if (targetOf(`/proc/${pid}/fd/${fd}`) !== '/dev/net/tun') continue;
      const name = /^iff:\t(\S+)/m.exec(readKernelFile(`/proc/${pid}/fdinfo/${fd}`)?.toString('latin1') ?? '')?.[1];
      if (name !== undefined) holders.set(name, pid);
    }
  }
  return holders;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not ours to see, or gone meanwhile
  }
}

function targetOf(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null; // closed meanwhile
  }
}
