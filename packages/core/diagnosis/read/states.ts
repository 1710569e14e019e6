import type { Line } from '../text.ts';
import { add, ask, type Gather } from './gather.ts';
import { ipv4, macPattern } from './ipv4.ts';

/** Units, VMM processes, what was requested, kernel options: short facts that stand in one line. */

export function readStates(at: Line, g: Gather): boolean {
  const unit = readUnit(at, g);
  const vmm = readVmm(at, g);
  const option = readOption(at, g);
  const asked = readAsked(at, g);
  return unit || vmm || option || asked;
}

function readUnit(at: Line, g: Gather): boolean {
  const text = at.body;
  const put = (unit: string, state: 'started' | 'starting' | 'failed' | 'dead' | 'running', detail: string | null): true => {
    add(g.units, { at, unit, state, detail });
    return true;
  };
  const screen =
    /^\[\s{0,4}(OK|FAILED|DEPEND)\s{0,4}\]\s(Started|Finished|Reached target|Failed to start|Dependency failed for|Stopped|Mounted|Listening on) (.{1,200}?)\.?$/.exec(
      text,
    );
  if (screen?.[3]) {
    const state = screen[1] !== 'OK' ? 'failed' : screen[2] === 'Stopped' ? 'dead' : 'started';
    return put(screen[3], state, screen[1] === 'DEPEND' ? 'dependency' : null);
  }
  const starting = /^Starting (.{1,200}?)(?:\.\.\.|…)$/.exec(text);
  if (starting?.[1]) return put(starting[1], 'starting', null);
  const journal = /^(?:systemd\[1\]: )?(\S{1,120}\.(?:service|mount|socket|target|device|swap)): (.{1,300})$/.exec(text);
  if (journal?.[1] && journal[2]) {
    if (/Main process exited|Control process exited|Failed with result|Failed at step|start-limit|Start request repeated/.test(journal[2]))
      return put(journal[1], 'failed', journal[2]);
    return true;
  }
  const word =
    /^(?:systemd\[1\]: )?(Started|Failed to start|Starting|Finished|Dependency failed for) (\S{1,120}\.(?:service|mount|socket|target)(?: - .{1,120})?|.{1,120}?)\.?$/.exec(
      text,
    );
  if (word?.[2] && (at.console || /systemd/.test(at.text)))
    return put(word[2], word[1] === 'Started' || word[1] === 'Finished' ? 'started' : word[1] === 'Starting' ? 'starting' : 'failed', null);
  const head = /^[●○×*]\s+(\S{1,120}\.(?:service|socket|mount|target|timer))(?:\s+loaded\s+(\w+)\s+(\w+).*| - .*)?$/.exec(text);
  if (head?.[1]) {
    if (head[2] === 'failed') return put(head[1], 'failed', head[3] ?? null);
    if (head[2] === 'active') return put(head[1], 'running', head[3] ?? null);
    g.asked.set('systemctl-unit', [{ value: head[1], at }]);
    return true;
  }
  const active = /^Active: (\w+) \(([^)]{1,60})\)/.exec(text);
  if (active?.[1]) {
    const name = g.asked.get('systemctl-unit')?.[0]?.value ?? 'a unit';
    return put(
      name,
      active[1] === 'failed' ? 'failed' : active[1] === 'active' ? 'running' : active[1] === 'activating' ? 'starting' : 'dead',
      active[2] ?? null,
    );
  }
  return false;
}

const vmmNames = /\b(firecracker|qemu(?:-system-\w+)?|cloud-hypervisor)\b/i;

function readVmm(at: Line, g: Gather): boolean {
  const text = at.body;
  const named = vmmNames.exec(text)?.[1]?.toLowerCase();
  const section = /\bvmm\b|firecracker|qemu|hypervisor/.test(at.section) || at.kind === 'vmm-log';
  if (named && g.vmm.name === null && !at.console)
    g.vmm.name = named.startsWith('qemu') ? 'qemu' : named === 'firecracker' ? 'firecracker' : 'cloud-hypervisor';
  const version =
    /\bfirecracker[ =:@-]{0,3}(?:version )?v?(\d{1,2})\.(\d{1,2})(?:\.(\d{1,3}))?\b/i.exec(text) ??
    /\bFirecracker v(\d{1,2})\.(\d{1,2})\.(\d{1,3})/.exec(text) ??
    (section ? /"vmm_version": ?"(\d+)\.(\d+)\.(\d+)/.exec(text) : null);
  if (version && g.vmm.version === null) {
    g.vmm.version = [Number(version[1]), Number(version[2]), Number(version[3] ?? 0)];
    g.vmm.name ??= 'firecracker';
  }
  if (at.console && at.kind === 'console') return false;
  const exit =
    /\b(?:exit(?:ed)?|rc|exit[_ -](?:code|status)|returned)(?: with)?(?: exit)?(?: code| status)?(?: rc)?[ =:]{1,3}(-?\d{1,3})\b(?:,? (?:after|within) (\d{1,7}(?:\.\d+)?) ?(ms|s|milliseconds|seconds?))?/i.exec(
      text,
    ) ?? null;
  if (exit?.[1] && (section || named) && !/Main process exited|status=\d+\//.test(text)) {
    const code = Number(exit[1]);
    // Firecracker's own codes begin at 148 (src/vmm/src/lib.rs, FcExitCode)
    const own = g.vmm.name !== 'qemu' && code >= 148;
    const unit = exit[3]?.startsWith('m') ? 1 : 1000;
    g.vmm.exit ??= {
      at,
      code: code < 0 ? null : code,
      signal: code < 0 ? -code : code > 128 && !own ? code - 128 : null,
      afterMs: exit[2] ? Number(exit[2]) * unit : null,
    };
    return true;
  }
  const signalled =
    /\b(?:killed by|terminated by|signal|received|died from)[ =:(]{1,2}(?:signal )?(SIG(?:KILL|TERM|SEGV|ABRT|BUS|SYS|ILL|INT|HUP)|9|11|15|31|6|7)\b/i.exec(
      text,
    ) ?? /(?:code=killed|code=dumped), (?:signal|status)=(?:\d+\/)?(\w+)/.exec(text);
  if (signalled?.[1] && (section || named)) {
    g.vmm.exit ??= { at, code: null, signal: signalNumber(signalled[1]), afterMs: null };
    return true;
  }
  if (
    (named || section) &&
    /\b(?:not running|no longer running|gone|exited|no process|process (?:is )?(?:dead|absent)|no such process|vanished|terminated|stopped running)\b/i.test(
      text,
    ) &&
    !/^\s*args:/.test(text)
  ) {
    g.vmm.absent ??= at;
    return true;
  }
  if (
    (named || section) &&
    /\b(?:pid[= ]\d+.{0,60}\bstate=?[ :]?[SRD]\b|alive|running|"status": ?"running"|Ssl?\b|state=[SR])/.test(text)
  ) {
    g.vmm.alive ??= at;
    return true;
  }
  if (/^\(no output\)$/.test(text) && at.command !== null && /\b(?:ps|pgrep|pidof)\b.*(?:firecracker|qemu|vm-)/i.test(at.command)) {
    g.vmm.absent ??= at;
    return true;
  }
  return section && named !== undefined;
}

const signals: Record<string, number> = { HUP: 1, INT: 2, ILL: 4, ABRT: 6, BUS: 7, KILL: 9, SEGV: 11, TERM: 15, SYS: 31 };
const signalNumber = (name: string): number => (/^\d+$/.test(name) ? Number(name) : (signals[name.toUpperCase().replace(/^SIG/, '')] ?? 0));

function readOption(at: Line, g: Gather): boolean {
  let found = false;
  for (const m of at.body.matchAll(/(?:^|[\s,;`("'])(?:# )?CONFIG_([A-Z0-9_]{2,60})(?:=([ymn])\b| (is not set))/g)) {
    if (m[1] === undefined) continue;
    g.kernelOptions.set(m[1], { at, value: m[3] ? 'n' : (m[2] as 'y' | 'm' | 'n') });
    found = true;
  }
  return found;
}

/** `key=value` words and the JSON keys of Firecracker's config that mean the same. */
const keys: Record<string, string> = {
  ip: 'ip',
  vm_ip: 'ip',
  guest_ip: 'ip',
  address: 'ip',
  addr: 'ip',
  gw: 'gateway',
  gateway: 'gateway',
  gateway_ip: 'gateway',
  mask: 'mask',
  netmask: 'mask',
  mac: 'mac',
  guest_mac: 'mac',
  bridge: 'bridge',
  tap: 'tap',
  host_dev_name: 'tap',
  tap_name: 'tap',
  port: 'ports',
  ports: 'ports',
  health: 'ports',
  mem_mib: 'memory',
  mem_size_mib: 'memory',
  memory_mib: 'memory',
  memory: 'memory',
  mem: 'memory',
  initrd: 'initrd',
  initrd_path: 'initrd',
  kernel: 'kernel',
  kernel_image_path: 'kernel',
  root: 'root',
  boot_args: 'boot_args',
  cmdline: 'boot_args',
  is_root_device: 'is_root_device',
};

function readAsked(at: Line, g: Gather): boolean {
  if (at.console) return false;
  const text = at.body;
  const bootArgs =
    /"boot_args"\s*:\s*"((?:[^"\\]|\\.){0,2500})"/.exec(text)?.[1] ??
    /^(?:cmdline|boot[_ -]args|kernel[_ -]args|args|append)\s*[:=]\s*["']?(.{8,2500}?)["']?$/i.exec(text)?.[1] ??
    /\s-append\s+(?:"([^"]{1,2500})"|'([^']{1,2500})')/
      .exec(text)
      ?.slice(1)
      .find((x) => x !== undefined);
  // a file that holds the boot arguments and nothing else
  if (
    at.kind === 'requested' &&
    !at.section.includes('requested') &&
    /^[\w.-]+(?:=\S*)?(?:\s+[\w.-]+(?:=\S*)?)+$/.test(text) &&
    /(?:^|\s)(?:console|root|panic|reboot)=/.test(text)
  ) {
    ask(g, 'boot_args', text, at);
    return true;
  }
  const requested = at.section.includes('requested') || at.kind === 'requested' || at.kind === 'config';
  if (bootArgs !== undefined) {
    ask(g, 'boot_args', bootArgs, at);
    if (requested || at.kind === 'host') return true;
  }
  let found = false;
  for (const m of text.matchAll(/(?:^|[\s,;({])"?([A-Za-z_]\w{1,30})"?\s?(?:=|:(?=\s?["\d]))\s?"?([^\s",;{}[\]][^\s"{}[\]]{0,300})/g)) {
    const key = keys[(m[1] ?? '').toLowerCase()];
    const value = m[2] ?? '';
    if (!requested && !(key === 'ip' || key === 'mac' || key === 'memory' || key === 'tap' || key === 'ports') && at.kind !== 'host')
      continue;
    if (!requested && m[0].includes(':') && !m[0].includes('"')) continue;
    if (key === undefined) {
      if (requested) {
        ask(g, `other:${(m[1] ?? '').toLowerCase()}`, value, at);
        found = true;
      }
      continue;
    }
    // ip= of a kernel command line that stands here, `ip=A::G:M::eth0:off`
    if (key === 'ip' && !new RegExp(`^${ipv4}(?:/\\d+)?$`).test(value.replace(/[),.;]+$/, ''))) {
      if (requested || /(?:^|\s)console=/.test(text)) ask(g, 'ip-argument', value, at);
      continue;
    }
    if (key === 'mac' && !new RegExp(`^${macPattern}$`).test(value)) continue;
    if (key === 'memory' && !/^\d+(?:\s?M(?:i?B)?|\s?G(?:i?B)?)?,?$/i.test(value)) continue;
    ask(g, key, value.replace(/[),;]+$/, ''), at);
    found = true;
  }
  const memory = /(?:^|\s)-m (\d{1,7})([MG]?)\b/.exec(text);
  if (memory?.[1] && /qemu/.test(text)) ask(g, 'memory', memory[2] === 'G' ? String(Number(memory[1]) * 1024) : memory[1], at);
  return found && requested;
}
