import { command } from '../../command.ts';
import { buildCell } from '../../golden-build.ts';
import { stateCell } from './state.ts';
import { moment } from '../../render.ts';

const MiB = 1024 * 1024;

export const goldenList = command({
  path: ['golden', 'list'],
  summary: 'List golden image versions',
  args: {},
  options: {},
  async run(_, tools) {
    const { items, tags, builds } = await (await tools.api()).call('golden.list', {}, { signal: tools.signal });
    await tools.out.rows(
      { items, tags, builds },
      ['golden', 'state', 'tags', 'kernel', 'rootfs', 'MiB', 'ports', 'agent', 'created', 'digest'],
      [...items.map((one) => [`${one.name}@${one.version}`, stateCell(one.state), one.tags.join(' ') || '-', one.kernel.release, one.rootfs.fstype, String(Math.ceil((one.kernel.bytes + one.rootfs.bytes + (one.initrd?.bytes ?? 0)) / MiB)), one.ports.map((port) => `${port.port}:${port.level}`).join(' ') || '-', one.agent ? 'yes' : 'no', moment(one.createdAt), one.digest.slice(0, 12)]), ...builds.map((one) => [`${one.name}@${one.version}`, buildCell(one), ...Array.from({ length: 6 }, () => '-'), moment(one.startedAt), '-'])],
      `There are no golden images. \`${tools.self} up\` makes the first one.`,
    );
  },
});
