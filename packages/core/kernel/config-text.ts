/**
 * The text of a kernel configuration (.config, /proc/config.gz, /boot/config-…), and whether it can be that of a given kernel. Pure; never
 * throws.
 *
 *     # Linux/x86 6.1.99 Kernel Configuration
 *     CONFIG_EXT4_FS=y
 *     # CONFIG_XFS_FS is not set
 */
import { compareVersions } from '../versions.ts';
import type { Version } from '../versions.ts';
import { versionOfRelease } from './banner.ts';
import type { Banner } from './banner.ts';

export type KernelConfig = {
  /** `x86` of `# Linux/x86 6.1.99 Kernel Configuration`; null when there is no such line: then it is no complete configuration */
  arch: string | null;
  version: Version | null;
  /** Option without `CONFIG_` → what is behind its `=`, quotes gone; `n` for `is not set`. */
  values: ReadonlyMap<string, string>;
};

/** A complete configuration has 5,000 to 15,000 lines of at most 200 characters. */
const MAX_OPTIONS = 100_000;

export function readConfigText(text: string): KernelConfig {
  const values = new Map<string, string>();
  let arch: string | null = null;
  let version: Version | null = null;
  for (const line of text.split('\n')) {
    if (values.size >= MAX_OPTIONS) break;
    if (line.startsWith('CONFIG_')) {
      const at = line.indexOf('=');
      if (at > 0) values.set(line.slice('CONFIG_'.length, at), unquoted(line.slice(at + 1).trimEnd()));
    } else if (line.startsWith('#')) {
      const off = /^# CONFIG_(\w+) is not set\s*$/.exec(line)?.[1];
      if (off !== undefined) values.set(off, 'n');
      const header = version === null ? /^# Linux\/(\w+) (\d[\w.+~-]*) Kernel Configuration\s*$/.exec(line) : null;
      if (header !== null) {
        arch = header[1] ?? null;
        version = versionOfRelease(header[2] ?? '');
      }
    }
  }
  return { arch, version, values };
}

function unquoted(value: string): string {
  return value.startsWith('"') && value.endsWith('"') && value.length >= 2 ? value.slice(1, -1).replaceAll(/\\(["\\])/g, '$1') : value;
}

export type ConfigValue = 'y' | 'm' | 'n';

/**
 * An option of a complete configuration. It names every option that could be set, so an option it does not name is off. Options with a text
 * or a number as value count as `y`.
 */
export function configValue(config: KernelConfig, option: string): ConfigValue {
  const value = config.values.get(option) ?? 'n';
  return value === 'm' || value === 'n' ? value : 'y';
}

/** The given options, as manifests state them. */
export function configValues(config: KernelConfig, options: readonly string[]): Record<string, ConfigValue> {
  return Object.fromEntries(options.map((option) => [option, configValue(config, option)]));
}

/** How Kconfig calls the architectures (SRCARCH). */
const KCONFIG_ARCHES: Readonly<Record<string, RegExp>> = {
  'x86-64': /^(?:x86|x86_64)$/,
  arm64: /^arm64$/,
  'RISC-V': /^riscv$/,
};

/** Why a configuration cannot be evidence of what is in a kernel, as a sentence; null when nothing speaks against it. */
export function whyNotOf(config: KernelConfig, banner: Banner, arch: string): string | null {
  if (config.version === null)
    return 'it has no line "# Linux/… Kernel Configuration": a fragment or a defconfig says what was asked for, not what was built';
  const names = KCONFIG_ARCHES[arch];
  if (names !== undefined && config.arch !== null && !names.test(config.arch)) return `it is for ${config.arch} and the kernel for ${arch}`;
  if (!isVersionOf(config.version, banner)) return `it is for Linux ${config.version.text} and the kernel says ${banner.release}`;
  const local = config.values.get('LOCALVERSION') ?? '';
  if (!banner.release.includes(local)) return `it is for a release that ends with "${local}" and the kernel says ${banner.release}`;
  return null;
}

/**
 * A distribution may keep the release at 6.1.0 while the sources go on, and then says the real version at the end of the banner
 * (`Debian 6.1.99-1`); where it does not, only the first two numbers can be compared.
 */
function isVersionOf(version: Version, banner: Banner): boolean {
  if (banner.version === null) return false;
  if (version.major !== banner.version.major || version.minor !== banner.version.minor) return false;
  if (compareVersions(version, banner.version) === 0) return true;
  const named = [...banner.text.matchAll(/\b\d{1,3}\.\d{1,3}\.\d{1,3}\b/g)].map(([word]) => word).slice(1);
  return (
    named.includes(version.text) ||
    (banner.version.patch === 0 && !named.some((word) => word.startsWith(`${version.major}.${version.minor}.`)))
  );
}
