import fc from 'fast-check';
import { expect, test } from 'vitest';
import { doctorReportSchema } from '@linstock/contract';
import { examineHost, families } from './examine.ts';
import { kernelFiles, type Answer, type DeviceSight, type FolderSight, type HostReadings, type Reading } from './readings.ts';
import { aProgram, aVmm, badHost, denied, goodHost } from './testing/hosts.ts';

const ids = families.flatMap((family) => family.checks).map((one) => one.id);

/** Of a good or a bad host, cut, doubled, with junk inside: near enough to what is parsed to reach every branch. */
const seeds = [goodHost, badHost].flatMap((host) => [
  ...Object.values(host.files),
  ...[host.addresses, host.routes, host.nftChains, host.clock, host.qemu.version].map(textOfAnswer),
  ...host.running.flatMap((vmm) => [...vmm.threads, vmm.limits, vmm.cgroup]),
]);
function textOfAnswer(answer: Answer): Reading {
  return { is: 'text', text: answer.is === 'ran' ? answer.stdout : '' };
}
const junk = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '\0',
    '\u001B[2J',
    '\u202E',
    '99999999999999999999',
    '-1',
    'NaN',
    '0x',
    '\\777',
    'max',
    ' ',
    '\n',
    '\n\n',
    ':',
    '{',
    ']',
    '/',
    '__proto__',
    'constructor',
  ),
);
const nearText = fc
  .record({ seed: fc.constantFrom(...seeds), from: fc.nat(200), to: fc.nat(400), at: fc.nat(400), junk })
  .map(({ seed, from, to, at, junk: middle }) => {
    const all = seed.is === 'text' ? seed.text : '';
    const cut = all.slice(from % (all.length + 1), to);
    return cut.slice(0, at) + middle + cut.slice(at);
  });
const texts = fc.oneof(
  { weight: 4, arbitrary: nearText },
  { weight: 2, arbitrary: junk },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 2_000 }) },
);
const errnos = fc.constantFrom('EACCES', 'EPERM', 'EIO', 'ENODEV', 'EINVAL', 'not an errno');
const readings: fc.Arbitrary<Reading> = fc.oneof(
  { weight: 4, arbitrary: texts.map((text) => ({ is: 'text' as const, text })) },
  { weight: 1, arbitrary: fc.constant({ is: 'absent' as const }) },
  { weight: 1, arbitrary: errnos.map(denied) },
);
const folders: fc.Arbitrary<FolderSight> = fc.oneof(
  fc
    .array(fc.record({ name: fc.oneof(fc.constantFrom('itlb_multihit', 'old_microcode', 'mc0', 'policy0'), junk), reading: readings }), {
      maxLength: 4,
    })
    .map((entries) => ({ is: 'read' as const, entries })),
  fc.constant({ is: 'absent' as const }),
  errnos.map(denied),
);
const answers: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ is: fc.constant('ran' as const), code: fc.constantFrom(0, 1, 255, null), stdout: texts, how: junk }),
  fc.constant({ is: 'absent' as const }),
  fc.record({ is: fc.constant('skipped' as const), why: junk, needsRoot: fc.boolean() }),
);
const devices: fc.Arbitrary<DeviceSight> = fc.oneof(
  fc.boolean().map((character) => ({ is: 'opens' as const, character })),
  fc.constant({ is: 'absent' as const }),
  errnos.map(denied),
);
const numbers = fc.oneof(fc.nat(), fc.constantFrom(0, 0o40755, 0o120777, 2 ** 53, Number.NaN, -1));
const probe = fc.record({ works: fc.boolean(), evidence: junk }).map((one) => ({ ...one, accelerator: 'kvm' as const, ms: 1 }));
const program = fc
  .record({
    version: answers,
    linking: fc.constantFrom('static', 'dynamic', 'unreadable'),
    steps: fc.array(fc.record({ path: junk, uid: numbers, mode: numbers, link: fc.boolean() }), { maxLength: 4 }),
    path: junk,
  })
  .map(({ path, ...more }) => ({ ...aProgram('/x/firecracker'), ...more, path }));
const vmm = fc
  .record({
    threads: fc.array(readings, { maxLength: 4 }),
    limits: readings,
    cgroup: readings,
    root: fc.oneof(fc.constantFrom({ is: 'own' as const }, { is: 'shared' as const }, { is: 'absent' as const }), errnos.map(denied)),
    control: fc.record({ cpu: readings, memory: readings, pids: readings }),
  })
  .map((more) => aVmm(more));

const hosts: fc.Arbitrary<HostReadings> = fc
  .record({
    uid: fc.constantFrom(0, 1000, -1),
    kernel: fc.oneof(junk, fc.constantFrom('6.1.0', '6.18.1', '5.10')),
    architecture: junk,
    files: fc.array(readings, { minLength: kernelFiles.length, maxLength: kernelFiles.length }),
    vulnerabilities: folders,
    governors: folders,
    memoryControllers: folders,
    kvm: devices,
    tun: devices,
    mayForward: fc.boolean(),
    probes: fc.oneof(
      fc.record({ is: fc.constant('made' as const), kvm: probe, tcg: probe }),
      fc.record({ is: fc.constant('skipped' as const), why: junk }),
    ),
    nftRules: answers,
    nftChains: answers,
    addresses: answers,
    routes: answers,
    clock: answers,
    subnet: fc.oneof(junk, fc.constant('192.168.100.0/24')),
    cgroup: fc.record({ mount: fc.option(junk), mayWrite: fc.boolean(), controllers: readings, delegated: readings, nested: fc.boolean() }),
    state: fc.record({
      path: junk,
      nearest: fc.oneof(junk, fc.constant('/var/lib/linstock')),
      own: fc.oneof(
        fc.record({ is: fc.constant('there' as const), mode: numbers, uid: numbers }),
        fc.constant({ is: 'absent' as const }),
        errnos.map(denied),
      ),
      freeBytes: fc.option(numbers),
      sharesBlocks: fc.oneof(
        fc.constantFrom('yes' as const, 'no' as const),
        errnos.map((errno) => ({ errno })),
      ),
      installation: readings,
    }),
    firecrackers: fc.array(
      fc.record({
        firecracker: program,
        jailer: fc.option(program),
        boot: fc.option(fc.record({ works: fc.boolean(), evidence: junk, ms: numbers })),
      }),
      { maxLength: 3 },
    ),
    running: fc.array(vmm, { maxLength: 3 }),
    pits: fc.array(readings, { maxLength: 3 }),
  })
  .map(({ files, ...more }) => ({
    ...goodHost,
    ...more,
    files: { ...goodHost.files, ...Object.fromEntries(kernelFiles.map((path, index) => [path, files[index]!])) },
  }));

test('no reading makes it throw; every check gives one verdict; what is shown is one clean line', () => {
  fc.assert(
    fc.property(hosts, (host) => {
      const report = doctorReportSchema.parse(examineHost(host, 1));
      expect(report.checks.map((one) => one.id)).toEqual(ids);
      const { ok, bad, unknown, notApplicable } = report.summary;
      expect(ok + bad + unknown + notApplicable).toBe(ids.length);
      for (const one of report.checks) {
        expect(one.read).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u202E]/);
        expect(one.read.length).toBeLessThanOrEqual(400);
        expect(one.fix === null).toBe(one.verdict === 'ok' || one.verdict === 'not-applicable');
        if (one.needsRoot) expect(one.verdict).toBe('unknown');
      }
    }),
    { numRuns: 400 },
  );
});

/** Each source of a host, made unreadable. */
const hidings: readonly [what: string, hide: (host: HostReadings) => HostReadings][] = [
  ...kernelFiles.map((path): [string, (host: HostReadings) => HostReadings] => [
    path,
    (host) => ({ ...host, files: { ...host.files, [path]: denied('EIO') } }),
  ]),
  ...(['vulnerabilities', 'governors', 'memoryControllers', 'kvm', 'tun'] as const).map(
    (name): [string, (host: HostReadings) => HostReadings] => [name, (host) => ({ ...host, [name]: denied('EIO') })],
  ),
  ...(['nftRules', 'nftChains', 'addresses', 'routes', 'clock'] as const).flatMap(
    (name): [string, (host: HostReadings) => HostReadings][] => [
      [`${name}, not asked`, (host) => ({ ...host, [name]: { is: 'skipped', why: 'not asked', needsRoot: false } })],
      [`${name}, failed`, (host) => ({ ...host, [name]: { is: 'ran', code: 1, stdout: '', how: 'it failed' } })],
      [`${name}, no program`, (host) => ({ ...host, [name]: { is: 'absent' } })],
    ],
  ),
  ['probes', (host) => ({ ...host, probes: { is: 'skipped', why: 'not made' } })],
  ['cgroup', (host) => ({ ...host, cgroup: { ...host.cgroup, controllers: denied('EIO'), delegated: denied('EIO') } })],
  [
    'state',
    (host) => ({
      ...host,
      state: { ...host.state, own: denied('EIO'), freeBytes: null, sharesBlocks: { errno: 'EIO' }, installation: denied('EIO') },
    }),
  ],
  [
    'programs',
    (host) => ({
      ...host,
      firecrackers: host.firecrackers.map(({ firecracker }) => {
        const hidden = {
          ...firecracker,
          version: { is: 'skipped' as const, why: 'not run', needsRoot: false },
          linking: 'unreadable' as const,
          steps: [],
        };
        return { firecracker: hidden, jailer: hidden, boot: null };
      }),
    }),
  ],
  [
    'processes',
    (host) => ({
      ...host,
      pits: host.pits.map(() => denied('EIO')),
      running: host.running.map((one) =>
        aVmm({ ...one, threads: one.threads.map(() => denied('EIO')), limits: denied('EIO'), cgroup: denied('EIO'), root: denied('EIO') }),
      ),
    }),
  ],
];

test.each(hidings)('what is hidden is never good news: %s', (_, hide) => {
  const before = new Map(examineHost(badHost, 1).checks.map((one) => [one.id, one.verdict]));
  const better = examineHost(hide(badHost), 1).checks.filter((one) => one.verdict === 'ok' && before.get(one.id) !== 'ok');
  expect(better.map((one) => one.id)).toEqual([]);
});

test('of a host of which nothing can be read, nothing is said to be right', () => {
  const blind = hidings.reduce((host, [, hide]) => hide(host), goodHost);
  const known = [
    'host.architecture',
    'host.kernel',
    'host.packages',
    'host.packages-optional',
    'host.root',
    'qemu.present',
    'memory.userfaultfd',
    'cgroup.writable',
    'firecracker.present',
  ];
  const { checks } = examineHost(blind, 1);
  expect(checks.filter((one) => one.verdict === 'ok').map((one) => one.id)).toEqual(known);
});
