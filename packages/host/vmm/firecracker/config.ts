/** The configuration file of one boot, pure: what the VM is made of, in Firecracker's words. */
import type { FirecrackerSettings, RateLimiter, TokenBucket } from '@linstock/contract';
import { inside } from '@linstock/core';
import type { LaunchOrder } from '../vmm.ts';

/** Names in the folder of the VMM, which is the jail's root, or that of the boot. */
export const firecrackerFile = {
  api: 'api.sock',
  vsock: 'v.sock',
  config: 'config.json',
  /** what MMDS serves from the first moment on */
  metadata: 'metadata.json',
  log: 'firecracker.log',
  metrics: 'metrics.ndjson',
  kernel: 'kernel',
  initrd: 'initrd',
  disk: 'disk',
} as const;

/** The guest sees it; on the host the socket's path tells VMs apart, so one number does for all, and snapshots cannot change it. */
const guestCid = 3;
const nic = 'eth0';

/** How many virtio devices this makes, in whichever order. */
export function devicesOf({ vm: { settings } }: LaunchOrder): number {
  const disk = 1;
  const vsock = 1;
  const entropy = 1;
  return disk + vsock + entropy + (settings.network.kind === 'bridge' ? 1 : 0) + (settings.firecracker?.balloon === undefined ? 0 : 1);
}

/** `at`: where the VMM finds each file. */
export function configFor(
  order: LaunchOrder,
  told: { args: string; rootByVmm: boolean },
  at: { kernel: string; initrd: string | null; disk: string },
): Record<string, unknown> {
  const { settings } = order.vm;
  const own: FirecrackerSettings = settings.firecracker ?? {};
  const bridged = settings.network.kind === 'bridge';
  return {
    'boot-source': {
      kernel_image_path: at.kernel,
      ...(at.initrd === null ? {} : { initrd_path: at.initrd }),
      boot_args: told.args,
    },
    'machine-config': {
      vcpu_count: settings.vcpus,
      mem_size_mib: settings.memoryMiB,
      ...(own.cpuTemplate === undefined ? {} : { cpu_template: own.cpuTemplate }),
      ...(own.hugePages === undefined ? {} : { huge_pages: own.hugePages }),
    },
    drives: [
      {
        drive_id: 'root',
        path_on_host: at.disk,
        is_root_device: told.rootByVmm,
        is_read_only: false,
        // the default, Unsafe, has no flush: what a guest has fsync'ed would be lost with the host
        cache_type: 'Writeback',
        ...limiter('rate_limiter', own.disk),
      },
    ],
    'network-interfaces': bridged
      ? [
          {
            iface_id: nic,
            // made before, inside the namespace, by the network organ: a TAP that is missing would be made by a VMM with root, and lead nowhere
            host_dev_name: inside.tap,
            guest_mac: order.wiring.mac,
            ...limiter('rx_rate_limiter', own.receive),
            ...limiter('tx_rate_limiter', own.transmit),
          },
        ]
      : [],
    // a name without folders: it is bound where the VMM runs, and its path stays short
    vsock: { guest_cid: guestCid, uds_path: firecrackerFile.vsock },
    entropy: {},
    ...(own.balloon === undefined
      ? {}
      : {
          balloon: {
            amount_mib: own.balloon.amountMiB,
            deflate_on_oom: own.balloon.deflateOnOom,
            stats_polling_interval_s: own.balloon.statsEveryS,
          },
        }),
    ...(own.mmds === undefined ? {} : { 'mmds-config': { version: own.mmds.version, network_interfaces: [nic] } }),
  };
}

function limiter(key: string, given: RateLimiter | undefined): Record<string, unknown> {
  if (given === undefined) return {};
  const { bytes, operations } = given;
  return {
    [key]: {
      ...(bytes === undefined ? {} : { bandwidth: bucket(bytes) }),
      ...(operations === undefined ? {} : { ops: bucket(operations) }),
    },
  };
}

function bucket({ size, refillMs, burst }: TokenBucket): Record<string, number> {
  return { size, refill_time: refillMs, ...(burst === undefined ? {} : { one_time_burst: burst }) };
}
