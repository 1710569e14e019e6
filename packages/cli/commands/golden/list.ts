import { command } from '../../command.ts';
import { moment } from '../../render.ts';

const MiB = 1024 * 1024;

export const goldenList = command({
  path: ['golden', 'list'],
  summary: 'List golden image versions',
  args: {},
  options: {},
  async run(_, tools) {
    const items = await (await tools.api()).goldens.list({ signal: tools.signal });
    await tools.out.rows(
      { items },
      ['golden', 'kernel', 'rootfs', 'MiB', 'ports', 'agent', 'created', 'digest'],
      items.map((one) => [`${one.name}@${one.version}`, one.kernel.release, one.rootfs.fstype, String(Math.ceil((one.kernel.bytes + one.rootfs.bytes + (one.initrd?.bytes ?? 0)) / MiB)), one.ports.map((port) => `${port.port}:${port.level}`).join(' ') || '-', one.agent ? 'yes' : 'no', moment(one.createdAt), one.digest.slice(0, 12)]),
      `There are no golden images. \`${tools.self} up\` makes the first one.`,
    );
  },
});
