import { z } from 'zod';

/**
 * One bridge, one subnet, its leases, its rules: one object, so that pool, gateway, mask and NAT cannot drift apart.
 * `bridge` needs root; `user` is QEMU's user-mode network with forwarded ports, for an ordinary user.
 */
export const networkSchema = z.object({
  id: z.string(),
  index: z.int().min(0).max(99).meta({ description: 'number of the network on its host; part of every name in it' }),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/),
  kind: z.enum(['bridge', 'user']),
  subnet: z.string().meta({ description: 'IPv4 CIDR, e.g. `192.168.100.0/24`' }),
  gateway: z.string(),
  bridge: z.string().nullable().meta({ description: 'name of the bridge on the host; null for kind user' }),
  egress: z.boolean().meta({ description: 'whether guests may reach beyond the host (NAT)' }),
  isolated: z.boolean().meta({ description: 'whether guests are kept from each other' }),
});
export type Network = z.infer<typeof networkSchema>;

export const leaseSchema = z.object({
  slot: z.int(),
  vm: z.string(),
  boot: z.string(),
  address: z.string(),
  mac: z.string(),
});

export const networkViewSchema = networkSchema.extend({
  slots: z.int().meta({ description: 'how many VMs fit' }),
  leases: z.array(leaseSchema),
});
export type NetworkView = z.infer<typeof networkViewSchema>;
