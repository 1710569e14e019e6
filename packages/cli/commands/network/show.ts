import { command } from '../../command.ts';

export const networkShow = command({
  path: ['network', 'show'],
  summary: 'Show a network: bridge, subnet, leases',
  args: { network: { kind: 'text', doc: 'name' } },
  options: {},
  async run({ args }, tools) {
    const one = await (await tools.api()).networks.show(args.network, { signal: tools.signal });
    await tools.out.page(one, [
      ['name', one.name],
      ['id', one.id],
      ['kind', one.kind],
      ['subnet', one.subnet],
      ['gateway', one.gateway],
      ['bridge', one.bridge ?? '-'],
      ['egress', one.egress ? 'yes, by NAT' : 'no'],
      ['isolated', one.isolated ? 'guests are kept from each other' : 'guests see each other'],
      ['leased', `${one.leases.length} of ${one.slots}`],
      ['leases', one.leases.map((lease) => `${lease.address}  ${lease.mac}  ${lease.vm}`)],
    ]);
  },
});
