import { command } from '../../command.ts';

export const networkList = command({
  path: ['network', 'list'],
  summary: 'List networks with how full they are',
  args: {},
  options: {},
  async run(_, tools) {
    const items = await (await tools.api()).networks.list({ signal: tools.signal });
    await tools.out.rows(
      { items },
      ['name', 'kind', 'subnet', 'gateway', 'bridge', 'leased', 'egress', 'isolated'],
      items.map((one) => [
        one.name,
        one.kind,
        one.subnet,
        one.gateway,
        one.bridge ?? '-',
        `${one.leases.length} of ${one.slots}`,
        one.egress ? 'yes' : 'no',
        one.isolated ? 'yes' : 'no',
      ]),
      'There are no networks.',
    );
  },
});
