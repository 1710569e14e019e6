import { command } from '../../command.ts';
import { buildPairs, unfinished } from '../../golden-build.ts';
import { stateCell } from './state.ts';
import { moment } from '../../render.ts';

export const goldenShow = command({
  path: ['golden', 'show'],
  summary: 'Show what a golden image version is made of',
  args: { golden: { kind: 'text', doc: '`name`, `name@version` or `name:tag`' } },
  options: {},
  async run({ args }, tools) {
    const building = await unfinished(args.golden, tools);
    if (building !== undefined) return tools.out.page(building, buildPairs(building, tools.self));
    const one = await (await tools.api()).goldens.show(args.golden, { signal: tools.signal });
    await tools.out.page(one, [
      ['golden', `${one.name}@${one.version}`],
      ['state', stateCell(one.state)],
      ...(one.why === null ? [] : [['because', one.why] as const]),
      ...(one.boot === null ? [] : [['proof', `boot ${one.boot}`] as const]),
      ['tags', one.tags.join(', ') || '-'],
      ['digest', one.digest],
      ['created', moment(one.createdAt)],
      ['kernel', [`${one.kernel.release} (${one.kernel.format}, ${one.kernel.bytes} bytes, ${one.kernel.package ?? 'no package'})`, one.kernel.banner, one.kernel.blob]],
      ['config', [`known by: ${one.kernel.configKnownBy}`, ...Object.entries(one.kernel.config).map(([key, value]) => `${key}=${value}`)]],
      ['initrd', one.initrd === null ? '-' : [`${one.initrd.bytes} bytes, modules: ${one.initrd.modules.join(' ') || 'none'}`, one.initrd.blob]],
      ['rootfs', [`${one.rootfs.fstype}, ${one.rootfs.bytes} bytes (${one.rootfs.virtualBytes} virtual)`, one.rootfs.blob]],
      ['machine', `${one.machine.vcpus} vCPU, ${one.machine.memoryMiB} MiB (at least ${one.machine.leastMemoryMiB})`],
      ['boot args', one.bootArgs.join(' ')],
      ['ports', one.ports.map((port) => `${port.port} up to ${port.level}${port.path === undefined ? '' : ` ${port.path}`}`)],
      ['agent', one.agent ? 'yes' : 'no'],
      ['made with', Object.entries(one.madeWith).map(([key, value]) => `${key} ${value}`)],
    ]);
  },
});
