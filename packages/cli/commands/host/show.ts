import type { HostFacts, VmmFacts } from '@linstock/contract';
import { command } from '../../command.ts';
import { moment, page, took } from '../../render.ts';

/** What a VM gets when nobody asks for another. */
function usualOf({ vmms, usualVmm }: HostFacts): VmmFacts | undefined {
  return vmms.find(({ name, usable }) => usable && name === usualVmm);
}

/** One VMM: whether a VM may ask for it and why, what it is shut in, what its exact version can do. */
function vmmLines(vmm: VmmFacts, usual: boolean): string[] {
  const { name, version, path, usable, why, confinement, abilities } = vmm;
  return [
    `${usable ? '✓' : '✗'} ${name} ${version}  ${path}${usual ? '  (the usual one)' : ''}`,
    `    ${usable ? 'usable' : 'not usable'}: ${why}`,
    `    shut in: ${confinement}`,
    ...(abilities.length === 0 ? [] : [`    can: ${abilities.join(', ')}`]),
  ];
}

export const hostShow = command({
  path: ['host', 'show'],
  summary: 'Show what this host can do, by what its probe boots showed',
  args: {},
  options: {},
  async run(_, tools) {
    const hosts = await (await tools.api()).hosts.list({ signal: tools.signal });
    const { out } = tools;
    await out.answer({ items: hosts }, () =>
      hosts.flatMap(({ id, name, facts, vms }, index) => [
        ...(index === 0 ? [] : ['']),
        ...page(
          [
            ['host', `${name}  ${id}`],
            ['accelerator', { text: facts.accelerator, paint: facts.accelerator === 'kvm' ? 'green' : 'yellow' }],
            [
              'evidence',
              facts.probes.map((probe) => `${probe.works ? '✓' : '✗'} ${probe.accelerator}: ${probe.evidence} (${took(probe.ms)})`),
            ],
            ['tsc', facts.tscKhz === null ? '-' : `${facts.tscKhz} kHz`],
            ['vmms', facts.vmms.flatMap((vmm) => vmmLines(vmm, vmm === usualOf(facts)))],
            ['machine', `${facts.cores} cores, ${facts.memoryMiB} MiB, ${facts.freeDiskMiB} MiB of disk free`],
            ['kernel', facts.kernel],
            ['cgroup', facts.cgroup === 'v2' ? 'v2: a VM has a cgroup of its own' : 'none'],
            ['privilege', facts.root ? 'root' : 'ordinary user'],
            ['vms', String(vms)],
            ['probed', moment(facts.probedAt)],
            ['advice', facts.advice.length === 0 ? ['nothing is missing'] : facts.advice],
          ],
          out.style,
        ),
      ]),
    );
  },
});
