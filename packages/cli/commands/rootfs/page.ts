import type { RootfsRecord } from '@linstock/contract';
import { moment } from '../../render.ts';

const MiB = 1024 * 1024;

/** What a person wants to know of a root file system. Pure. */
export function rootfsPage(one: RootfsRecord, built: boolean): readonly (readonly [string, string | readonly string[]])[] {
  return [
    ['rootfs', one.name],
    ['state', built ? 'built now' : `as it was built, ${moment(one.createdAt)}; --newest asks for newer packages`],
    ['made from', one.from],
    ['packages', one.packages === null ? '-' : String(Object.keys(one.packages).length)],
    ['size', `${Math.ceil(one.rootfs.virtualBytes / MiB)} MiB, ${one.rootfs.fstype}`],
    ['init', one.init],
    ['agent', one.agent ? 'yes' : 'no'],
    ['ports', one.ports.map((port) => `${port.port} up to ${port.level}`).join(', ') || '-'],
    ['image', one.rootfs.blob],
  ];
}
