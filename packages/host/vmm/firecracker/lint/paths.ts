/** The files and interfaces of the host that a configuration names. Pure. */
import { list, section, type Section } from './finding.ts';

/** What Firecracker will do with the path. `log`: it writes there; `listen`: it binds a socket there; `connect`: somebody else has. */
export type PathUse = 'kernel' | 'initrd' | 'drive' | 'pmem' | 'template' | 'log' | 'listen' | 'connect';
export type NamedPath = { at: string; path: string; use: PathUse; writes: boolean };
export type NamedTap = { at: string; name: string };

export function pathsIn(config: Section): readonly NamedPath[] {
  const paths: NamedPath[] = [];
  const add = (at: string, path: unknown, use: PathUse, writes = false): void => {
    // a NUL ends a path for the kernel, and Node refuses to look
    if (typeof path === 'string' && path !== '' && !path.includes('\0')) paths.push({ at, path, use, writes });
  };
  const boot = section(config, 'boot-source');
  add('/boot-source/kernel_image_path', boot['kernel_image_path'], 'kernel');
  add('/boot-source/initrd_path', boot['initrd_path'], 'initrd');
  for (const [i, drive] of list(config, 'drives').entries()) {
    add(`/drives/${i}/path_on_host`, drive['path_on_host'], 'drive', drive['is_read_only'] !== true);
    add(`/drives/${i}/socket`, drive['socket'], 'connect');
  }
  for (const [i, pmem] of list(config, 'pmem').entries())
    add(`/pmem/${i}/path_on_host`, pmem['path_on_host'], 'pmem', pmem['read_only'] !== true);
  add('/cpu-config', config['cpu-config'], 'template');
  add('/vsock/uds_path', section(config, 'vsock')['uds_path'], 'listen', true);
  add('/logger/log_path', section(config, 'logger')['log_path'], 'log', true);
  add('/metrics/metrics_path', section(config, 'metrics')['metrics_path'], 'log', true);
  return paths;
}

export function tapsIn(config: Section): readonly NamedTap[] {
  return list(config, 'network-interfaces').flatMap((net, i) =>
    typeof net['host_dev_name'] === 'string' ? [{ at: `/network-interfaces/${i}/host_dev_name`, name: net['host_dev_name'] }] : [],
  );
}
