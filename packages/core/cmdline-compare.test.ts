import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareArgs, readerOf, understood } from './cmdline-compare.ts';

const ip = 'ip=192.168.100.3::192.168.100.1:255.255.255.0::eth0:off';
const seed = `console=ttyS0 reboot=k panic=1 root=/dev/vda rw rootfstype=ext4 net.ifnames=0 biosdevname=0 random.trust_cpu=on iommu=off swiotlb=force ${ip}`;
const given = seed.split(' ');
const asked = { given, addedForVmm: [], appendedByVmm: [] };
const same = { missing: [], added: [], changed: [], doubled: [], reordered: false, unseen: [] };

describe('compareArgs', () => {
  it('finds the founding line in effect', () => expect(compareArgs({ ...asked, effective: seed })).toEqual(same));

  it('finds the void test of the founding case: swiotlb=force never arrived', () => {
    expect(compareArgs({ ...asked, effective: seed.replace(' swiotlb=force', '') })).toEqual({ ...same, missing: ['swiotlb=force'] });
  });

  it('finds changed, added and quoted tokens', () => {
    expect(
      compareArgs({ given: ['a=1', 'b="x y"', 'c-d=1'], addedForVmm: ['t=1'], appendedByVmm: [], effective: 'a=2 "b=x y" c_d=1 t=1 z' }),
    ).toEqual({
      ...same,
      changed: [{ key: 'a', expected: 'a=1', effective: 'a=2' }],
      added: ['z'],
    });
  });

  it('counts what is both given and added for the VMM once', () => {
    expect(compareArgs({ given: ['a=1', 't=1'], addedForVmm: ['t=1'], appendedByVmm: [], effective: 'a=1 t=1' })).toEqual(same);
  });

  it('knows what Firecracker appends, and that the last root= wins (case 06)', () => {
    const fc191 = ['root=/dev/vda', 'rw', 'virtio_mmio.device=*'];
    expect(
      compareArgs({
        given: ['panic=1'],
        addedForVmm: [],
        appendedByVmm: fc191,
        effective: 'panic=1 root=/dev/vda rw virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6',
      }),
    ).toEqual(same);
    expect(
      compareArgs({ given: ['root=/dev/sda', 'rw'], addedForVmm: [], appendedByVmm: fc191, effective: 'root=/dev/sda rw root=/dev/vda rw' })
        .doubled,
    ).toEqual([
      { key: 'root', texts: ['root=/dev/sda', 'root=/dev/vda'], planned: false },
      { key: 'rw', texts: ['rw', 'rw'], planned: true },
    ]);
  });

  it('sees another order, and that the last console= is another one', () => {
    expect(compareArgs({ given: ['a', 'b'], addedForVmm: [], appendedByVmm: [], effective: 'b a' })).toEqual({ ...same, reordered: true });
    expect(
      compareArgs({ given: ['console=tty0', 'console=ttyS0'], addedForVmm: [], appendedByVmm: [], effective: 'console=ttyS0 console=tty0' })
        .changed,
    ).toHaveLength(1);
  });

  it('does not call missing what a cut line cannot show', () => {
    expect(compareArgs({ ...asked, effective: seed.slice(0, seed.indexOf('=off') + 2), effectiveIsCut: true })).toMatchObject({
      missing: [],
      added: [],
      changed: [],
      unseen: ['iommu=off', 'swiotlb=force', ip],
    });
  });

  it('compares what is for init', () => {
    expect(compareArgs({ given: ['a', '--', 'x'], addedForVmm: [], appendedByVmm: ['b'], effective: 'a b -- y' })).toEqual({
      ...same,
      missing: ['-- x'],
      added: ['-- y'],
    });
  });

  it('takes any line', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        fc.string(),
        fc.boolean(),
        (tokens, effective, effectiveIsCut) =>
          void compareArgs({ given: tokens, addedForVmm: tokens, appendedByVmm: tokens, effective, effectiveIsCut }),
      ),
    );
  });
});

describe('understood', () => {
  it('sorts what the kernel names (case 09)', () => {
    const result = understood({
      unknownTokens: [ip, 'biosdevname=0', 'gso_max_size=0', 'BOOT_IMAGE=x'],
      given: [...given, 'gso_max_size=0'],
      userspaceArgs: ['ip'],
    });
    expect(result.ignored).toEqual(['gso_max_size=0']);
    expect(result.readBy.map((r) => [r.token, r.reader])).toEqual([
      [ip, 'this golden image itself'],
      ['biosdevname=0', 'udev (biosdevname rule)'],
    ]);
    expect(result.notAsked).toEqual(['BOOT_IMAGE=x']);
    expect(understood({ unknownTokens: [ip], given, userspaceArgs: [] }).ignored).toEqual([ip]);
  });

  it('puts a value with spaces together again', () => {
    expect(understood({ unknownTokens: ['foo=a', 'b', 'bar'], given: ['foo="a b"', 'bar'], userspaceArgs: [] }).ignored).toEqual([
      'foo="a b"',
      'bar',
    ]);
  });

  it('knows nobody who reads swiotlb=', () => {
    expect(readerOf('swiotlb', ['ip'])).toBeNull();
    expect(readerOf('systemd.unit', [])?.reader).toBe('systemd');
  });
});
