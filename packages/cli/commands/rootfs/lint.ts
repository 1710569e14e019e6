import { command, exitCodes, UsageError } from '../../command.ts';
import { loadRootfsLint } from '../../daemon-face.ts';
import { findingLines, lookedAt } from '../../rootfs-page.ts';

export const rootfsLint = command({
  path: ['rootfs', 'lint'],
  summary: 'Say what is wrong with a root file system before any boot, without mounting it',
  args: { path: { kind: 'text', doc: 'an ext4 image, a tar, or a folder' } },
  options: {
    kernel: { kind: 'text', flag: '--kernel <file>', doc: 'the kernel that guests will run' },
    ip: { kind: 'text', flag: '--ip <value>', doc: 'what ip= will say (default: a lease of Linstock); off: the kernel sets no address' },
    cmdline: { kind: 'text', flag: '--cmdline <line>', doc: "the whole command line (default: Linstock's template)" },
    port: { kind: 'list', flag: '--port <n>', doc: 'a port that is promised (may stand several times)' },
  },
  async run({ args: { path }, options }, { out }) {
    if (options.ip !== undefined && !looksLikeIp(options.ip))
      throw new UsageError(
        `--ip ${options.ip}: it is what stands behind ip=, such as 192.168.100.3::192.168.100.1:255.255.255.0::eth0:off, or off`,
      );
    const { lintRootfs, faultOfRefusal } = await loadRootfsLint();
    const lint = await lintRootfs({
      path,
      kernelPath: options.kernel,
      ip: options.ip,
      commandLine: options.cmdline,
      ports: options.port.map(portOf),
    });
    if (!lint.ok) throw faultOfRefusal(lint, path);
    const { findings, image } = lint;
    await out.answer({ image, findings }, () => findingLines(lookedAt(path, lint), findings, out.style));
    return findings.some(({ severity }) => severity === 'error') ? exitCodes.fault : exitCodes.done;
  },
});

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new UsageError(`--port ${text}: it is a number from 1 to 65535`);
  return port;
}

/** Fields with colons, an address alone, or a word (Documentation/admin-guide/nfs/nfsroot.rst). */
function looksLikeIp(text: string): boolean {
  return text.includes(':') || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) || /^(?:off|none|on|any|dhcp|bootp|rarp|both)$/.test(text);
}
