import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dependsOf, loadOrder, moduleName, parseModulesBuiltin, parseModulesDep } from './modules.ts';

test('names: folders, endings, hyphens', () => {
  expect(['kernel/drivers/char/hw_random/virtio-rng.ko', 'a/virtio_blk.ko.xz', 'b/ext4.ko.zst', 'overlay'].map(moduleName)).toEqual([
    'virtio_rng',
    'virtio_blk',
    'ext4',
    'overlay',
  ]);
});

const DEP = `kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_mmio.ko.xz: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/net/core/failover.ko:
not a line
`;

test('modules.dep: dependencies first, each once, built-in ones left out, missing ones named', () => {
  const plan = loadOrder(
    ['virtio_mmio', 'virtio-net', 'ext4', 'nosuch'],
    parseModulesDep(DEP),
    parseModulesBuiltin('kernel/fs/ext4/ext4.ko\n'),
  );
  expect(plan.order.map((module) => moduleName(module.path))).toEqual([
    'virtio_ring',
    'virtio',
    'virtio_mmio',
    'failover',
    'net_failover',
    'virtio_net',
  ]);
  expect(plan).toMatchObject({ builtin: ['ext4'], missing: ['nosuch'] });
  expect(plan.order[2]?.path).toBe('kernel/drivers/virtio/virtio_mmio.ko.xz');
});

test('the dependencies a module states itself', () => {
  expect(dependsOf(Buffer.from('\0license=GPL\0depends=virtio_ring,virtio-x\0retpoline=Y\0'))).toEqual(['virtio_ring', 'virtio_x']);
  expect(dependsOf(Buffer.from('\0depends=\0'))).toEqual([]);
  expect(dependsOf(Buffer.from('text softdepends=a\0license'))).toEqual([]);
});

test('any graph, cycles too: each module once, and after its dependencies where there is no cycle', () => {
  const graph = fc.array(fc.tuple(fc.nat(12), fc.array(fc.nat(12), { maxLength: 4 })), { maxLength: 12 });
  fc.assert(
    fc.property(graph, fc.boolean(), (edges, acyclic) => {
      const modules = new Map(
        edges.map(([name, depends]) => [
          `m${name}`,
          { path: `m${name}.ko`, depends: depends.filter((to) => !acyclic || to < name).map((to) => `m${to}`) },
        ]),
      );
      const { order } = loadOrder([...modules.keys()], modules, new Set());
      const names = order.map((module) => moduleName(module.path));
      expect(new Set(names).size).toBe(names.length);
      expect(new Set(names)).toEqual(new Set(modules.keys()));
      if (!acyclic) return;
      for (const module of order)
        for (const needed of module.depends)
          if (modules.has(needed)) expect(names.indexOf(needed)).toBeLessThan(names.indexOf(moduleName(module.path)));
    }),
  );
});
