import type { Finding } from './rules/rule.ts';

/**
 * Which of the findings are causes, and in which order. A finding that another one explains is its consequence, not a second cause: what
 * keeps the VMM from starting explains every silence of the guest; a panic explains a TAP without carrier. Between causes that do not
 * explain each other, the earlier stage of a boot comes first.
 */

const matches =
  (pattern: RegExp) =>
  (code: string): boolean =>
    pattern.test(code);

/** What a VM that never started, or ended, cannot have: its network, its services. */
const afterlife = matches(
  /^(?:host\.vmm-not-attached|guest\.net\.|host\.net\.(?!tap-(?:busy|missing|permission|in-other|options)|tun)|service\.|unknown\.|boot\.initrd-ignored|host\.controller-unreachable|vmm\.(?:api-not-answering|killed|console|vsock-not-connected|file-not-found)|control\.(?:vm-destroyed|boot-args-not-applied|wrong-vm-log))/,
);

type Explains = { cause: (code: string) => boolean; consequence: (code: string) => boolean };

const explains: readonly Explains[] = [
  { cause: matches(/^guest\.net\.address-(?:dropped|replaced)/), consequence: matches(/^guest\.net\.address-removed/) },
  { cause: matches(/^boot\.init-not-found/), consequence: matches(/^boot\.(?:root-|transport|filesystem)|^image\.not-a/) },
  { cause: matches(/^control\.status-without/), consequence: matches(/^host\.(?:net\.tap-|vmm-not)/) },
  { cause: matches(/^host\.net\.duplicate-mac/), consequence: matches(/^(?:host\.net\.(?:forward|nat)|guest\.net\.address-)/) },
  { cause: matches(/^host\.net\.bridge-address/), consequence: matches(/^host\.net\.(?:vm-address|route)/) },
  { cause: matches(/^vmm\.kernel-/), consequence: matches(/^vmm\.(?:memory-size|request|config|kernel-format-unsupported)/) },
  { cause: matches(/^host\.net\.tap-(?:missing|in-other)/), consequence: matches(/^host\.net\.tap-(?:permission|options)/) },
  {
    cause: matches(/^host\.net\.(?:bridge-missing|too-many)/),
    consequence: matches(/^host\.(?:vmm-not|net\.(?:tap-not|tap-missing|bridge-))/),
  },
  { cause: matches(/^host\.net\.neighbour-table/), consequence: matches(/^service\.port-/) },
  { cause: matches(/^host\.net\.address-already/), consequence: matches(/^service\.(?:authentication|sshd)/) },
  { cause: matches(/^guest\.net\.(?:dhcp|address)/), consequence: matches(/^service\.unit-failed|^guest\.net\.no-configured/) },
  { cause: matches(/^host\.disk\.io-error/), consequence: matches(/^(?:host\.disk\.read-only|image\.(?:filesystem|root-))/) },
  { cause: matches(/^host\.process-limit/), consequence: matches(/^vmm\.(?:jailer|crashed|request)/) },
  { cause: matches(/^service\.sshd/), consequence: matches(/^service\.port-22/) },
  { cause: matches(/^service\.port-conflict/), consequence: matches(/^(?:host\.net\.port-in-use|control\.stale)/) },
  { cause: matches(/^guest\.net\.driver-/), consequence: matches(/^(?:service\.unit-failed|image\.kernel-modules)/) },
  { cause: matches(/^guest\.net\.mtu/), consequence: matches(/^(?:host\.net\.(?:nat|forward)|guest\.net\.(?:dns|address-not))/) },
  { cause: matches(/^host\.net\.input-chain/), consequence: matches(/^host\.net\.(?:nat|forward)/) },
  { cause: matches(/^control\.stale-process/), consequence: matches(/^host\.net\.port-in-use/) },
  { cause: matches(/^vmm\.api-unknown/), consequence: matches(/^vmm\.arguments-refused/) },
  { cause: matches(/^snapshot\.file-corrupt/), consequence: matches(/^snapshot\.file-missing/) },
  { cause: matches(/^image\.root-device/), consequence: matches(/^service\.(?:unit-failed|crashed|port-\d+-not)/) },
  {
    cause: matches(/^kernel\.other-than/),
    consequence: matches(/^(?:kernel\.(?:container|option|vsock)|image\.kernel-modules|service\.)/),
  },
  { cause: matches(/^kernel\.option/), consequence: matches(/^(?:service\.|kernel\.container)/) },
  { cause: matches(/^host\.net\.reverse/), consequence: matches(/^host\.net\.(?:same-subnet|route-diverted)/) },
  { cause: matches(/^vmm\.config-key/), consequence: matches(/^(?:guest\.net\.(?:driver|address-not|link)|host\.vmm-not)/) },
  { cause: matches(/^boot\.entropy/), consequence: matches(/^service\.(?:port-\d+-not|sshd|unit)/) },
  {
    cause: matches(/^(?:vmm\.(?!request-refused)|snapshot\.|host\.|image\.|boot\.|control\.)/),
    consequence: matches(/^vmm\.request-refused/),
  },
  { cause: matches(/^host\.(?:huge|disk)|^vmm\.file-size/), consequence: matches(/^vmm\.(?:crashed|killed|seccomp)/) },
  {
    cause: matches(/^vmm\.(?:config-invalid|api-|arguments|jailer|device|vcpu|memory-size|kernel|log-)|^host\.net\.port/),
    consequence: matches(/^vmm\.(?:crashed|killed)/),
  },
  {
    cause: matches(/^vmm\.(?:file-|drive-|kernel-|log-|vsock|jailer)/),
    consequence: matches(/^vmm\.(?:config-invalid|api-misuse|api-unknown)/),
  },
  { cause: matches(/^boot\.guest-powered-off/), consequence: afterlife },
  { cause: matches(/^service\.supervisor/), consequence: matches(/^service\./) },
  // the guest ended or never began
  {
    cause: matches(
      /^(?:boot\.(?:root-|filesystem-driver|transport|out-of-memory|memory-below|init-|kernel-panic|initrd-(?:corrupt|lacks)|clock-calibration|cpu-feature|emergency)|image\.(?:not-a-filesystem|filesystem-corrupt|filesystem-features|wrong-disk)|vmm\.pci-without)/,
    ),
    consequence: afterlife,
  },
  {
    cause: matches(
      /^(?:host\.kvm\.|vmm\.(?!console|config-key|vsock-not|api-not|killed|mmds)|snapshot\.(?!restored|clock|clones)|image\.artifact|host\.(?:memory-exhausted|vmm-killed|huge-pages|disk\.full|disk\.image-in-use)|host\.net\.(?:tap-(?:busy|permission|in-other|options)|tun-)|kernel\.console-driver)/,
    ),
    consequence: matches(
      /^(?:host\.vmm-not-attached|guest\.net\.|service\.|unknown\.|vmm\.(?:api-not|killed-by|config-invalid|crashed|needs-priv)|control\.status-without|boot\.(?:memory-below|console-arg)|host\.net\.(?:tap-not-on|tap-down|vm-address|route|same-subnet|nat|forward))/,
    ),
  },
  // deeper words about the same thing
  { cause: matches(/^host\.kvm\./), consequence: matches(/^vmm\.(?:file|binary|config|crashed)/) },
  {
    cause: matches(/^host\.net\.(?:tap-|tun)/),
    consequence: matches(/^(?:vmm\.(?:config-invalid|file-|api-misuse)|host\.vmm-not-attached)/),
  },
  { cause: matches(/^host\.net\.tap-(?:busy|permission|missing|options)/), consequence: matches(/^host\.net\.tap-(?:not-on|down)/) },
  {
    cause: matches(/^host\.net\.tap-down/),
    consequence: matches(/^(?:host\.vmm-not-attached|guest\.net\.|host\.net\.(?:route|bridge-address))/),
  },
  { cause: matches(/^boot\.init-never-finished/), consequence: matches(/^service\./) },
  { cause: matches(/^guest\.net\.gateway-not-on-link/), consequence: matches(/^guest\.net\.(?:default-route|gateway-wrong)/) },
  { cause: matches(/^control\.other-address/), consequence: matches(/^guest\.net\.address-replaced/) },
  { cause: matches(/^kernel\.devtmpfs/), consequence: matches(/^boot\.(?:init-died|kernel-panic)/) },
  { cause: matches(/^boot\.initrd-corrupt/), consequence: matches(/^boot\.(?:root-|initrd-lacks)/) },
  {
    cause: matches(/^boot\.(?:root-not-given|root-filesystem-type|init-not-found)|^image\.(?:not-a|wrong-disk)/),
    consequence: matches(/^boot\.(?:root-name|root-driver|initrd-lacks)/),
  },
  { cause: matches(/^image\.wrong-disk/), consequence: matches(/^image\.not-a/) },
  {
    cause: matches(/^(?:vmm\.(?:paused|process-stopped)|control\.vm-stopped)/),
    consequence: matches(/^(?:host\.net\.|guest\.net\.|service\.|boot\.guest-powered)/),
  },
  { cause: matches(/^boot\.root-driver-is-module/), consequence: matches(/^boot\.root-(?:driver-missing|name)/) },
  { cause: matches(/^boot\.root-arg-overridden/), consequence: matches(/^(?:boot\.root-name|control\.boot-args)/) },
  {
    cause: matches(/^boot\.init-(?:library|not-|wrong)/),
    consequence: matches(/^(?:boot\.init-died|service\.(?:dependency|program|start-script))/),
  },
  {
    cause: matches(/^boot\.(?:cpu-feature|out-of-memory)/),
    consequence: matches(/^(?:boot\.init-died|boot\.kernel-panic|service\.killed)/),
  },
  { cause: matches(/^boot\.kernel-panic/), consequence: matches(/^boot\.kernel-oops/) },
  { cause: matches(/^boot\.waits-for-device/), consequence: matches(/^boot\.emergency-mode/) },
  {
    cause: matches(/^image\.(?:filesystem-corrupt|root-)/),
    consequence: matches(/^(?:image\.root-remounted|image\.root-device|boot\.emergency|service\.unit-failed)/),
  },
  {
    cause: matches(/^control\.unresolved/),
    consequence: matches(/^(?:guest\.net\.(?:gateway|netmask|default-route)|host\.net\.(?:nat|vm-address|forward))/),
  },
  { cause: matches(/^snapshot\.restored/), consequence: matches(/^(?:guest\.net\.address|host\.net\.(?:address|neighbour|duplicate))/) },
  { cause: matches(/^snapshot\.clock/), consequence: matches(/^boot\.clock/) },
  // the guest has no address, so nothing of it can be reached
  {
    cause: matches(/^guest\.net\.(?:kernel-lacks|kernel-waits|driver-|address-|interface-name|dhcp-|no-configured|link-down)/),
    consequence: matches(
      /^(?:service\.port-|guest\.net\.(?:dns|default-route|gateway|firewall)|host\.net\.(?:nat|reverse|forward|bridge-filters)|image\.kernel-modules|control\.vm-destroyed)/,
    ),
  },
  {
    cause: matches(/^guest\.net\.(?:kernel-lacks|driver-)/),
    consequence: matches(/^guest\.net\.(?:address-(?:not|dropped)|dhcp|no-configured|link-down|interface)/),
  },
  {
    cause: matches(/^guest\.net\.address-(?:replaced|from)/),
    consequence: matches(/^(?:host\.net\.(?:address-already|neighbour)|guest\.net\.(?:dhcp|no-configured|interface))/),
  },
  {
    cause: matches(/^guest\.net\.gateway-not/),
    consequence: matches(/^(?:guest\.net\.(?:default-route|gateway-wrong|dns)|host\.net\.(?:nat|forward|ip-forward))/),
  },
  {
    cause: matches(/^guest\.net\.(?:default-route|gateway-wrong)/),
    consequence: matches(/^(?:guest\.net\.dns|host\.net\.(?:nat|forward|ip-forward))/),
  },
  { cause: matches(/^host\.net\.(?:forward|nat|ip-forward)/), consequence: matches(/^guest\.net\.(?:dns|default-route|mtu|firewall)/) },
  { cause: matches(/^guest\.net\.netmask/), consequence: matches(/^(?:guest\.net\.(?:firewall|gateway|default)|host\.net\.reverse)/) },
  {
    cause: matches(/^host\.net\.(?:vm-address-outside|same-subnet|tap-not-on|route-diverted|bridge-|reverse|duplicate-mac)/),
    consequence: matches(
      /^(?:service\.port-|guest\.net\.(?:firewall|netmask|gateway|default-route|dhcp)|host\.net\.(?:route|bridge-address|nat|forward|neighbour)|boot\.entropy)/,
    ),
  },
  { cause: matches(/^host\.net\.(?:vm-address-outside|tap-not-on|bridge-|duplicate-mac)/), consequence: matches(/^host\.net\.reverse/) },
  {
    cause: matches(/^host\.net\.(?:same-subnet|tap-not-on)/),
    consequence: matches(/^(?:guest\.net\.address-(?:not|dropped)|host\.net\.vm-address)/),
  },
  { cause: matches(/^host\.net\.address-already/), consequence: matches(/^(?:service\.port-|host\.net\.neighbour|guest\.net\.firewall)/) },
  { cause: matches(/^guest\.net\.firewall/), consequence: matches(/^service\.port-/) },
  // a service that is down has a reason
  {
    cause: matches(
      /^(?:service\.(?:start-script|exits-immediately|killed-by|program|wrong-runtime|dependency|port-conflict|vnc-backend|sandbox|crashed)|image\.(?:root-|stale|unit|kernel-modules|filesystem)|kernel\.container|boot\.cpu-feature)/,
    ),
    consequence: matches(/^service\.(?:port-\d+-not|unit-failed)/),
  },
  {
    cause: matches(/^service\.(?:killed-by|wrong-runtime|dependency|port-conflict|start-script|program|exits-immediately)/),
    consequence: matches(/^service\.(?:crashed|unit-failed)/),
  },
  { cause: matches(/^service\.vnc-backend/), consequence: matches(/^service\.(?:port-59|unit-failed|port-6080-not|websocket|crashed)/) },
  { cause: matches(/^service\.port-\d+-(?:not|bound)/), consequence: matches(/^service\.unit-failed/) },
  { cause: matches(/^service\.wrong-runtime/), consequence: matches(/^control\.code-error/) },
  { cause: matches(/^kernel\.container/), consequence: matches(/^image\.kernel-modules/) },
  {
    cause: matches(/^control\.(?:vm-destroyed|clone)/),
    consequence: matches(
      /^(?:host\.vmm-not-attached|vmm\.killed|service\.port-|unknown\.|control\.status|host\.resources|host\.net\.(?!two))/,
    ),
  },
  { cause: matches(/^control\.clone/), consequence: matches(/^(?:host\.resources|host\.disk\.no-reflink)/) },
  { cause: matches(/^control\.stale-process/), consequence: matches(/^(?:service\.port-|vmm\.socket|control\.boot-args|control\.code)/) },
  { cause: matches(/^host\.controller-unreachable/), consequence: matches(/^(?:host\.net\.|guest\.net\.|service\.)/) },
  { cause: matches(/^host\.resources-leaked/), consequence: matches(/^host\.vmm-not-attached/) },
  { cause: matches(/^security\.unauth/), consequence: matches(/^service\./) },
  { cause: matches(/^image\.stale/), consequence: matches(/^(?:service\.|guest\.net\.address-dropped|guest\.net\.no-configured)/) },
  { cause: matches(/^vmm\.console/), consequence: matches(/^(?:vmm\.config-key|boot\.console)/) },
  { cause: matches(/^image\.artifact/), consequence: matches(/^vmm\.file-not/) },
  { cause: matches(/^vmm\.jailer-/), consequence: matches(/^vmm\.(?:file-|needs)/) },
];

const stages: readonly [RegExp, number][] = [
  [/^host\.controller/, 0],
  [/^control\.(?:unresolved|stale|clone)/, 1],
  [/^host\.kvm|^host\.disk|^host\.memory|^host\.huge|^host\.file|^host\.process/, 2],
  [/^image\.artifact/, 3],
  [/^vmm\.|^snapshot\./, 4],
  [/^kernel\./, 5],
  [/^boot\./, 6],
  [/^image\./, 7],
  [/^guest\.net/, 8],
  [/^host\./, 9],
  [/^service\./, 10],
  [/^control\.|^security\./, 11],
];
const stageOf = (code: string): number => stages.find(([pattern]) => pattern.test(code))?.[1] ?? 12;
const strength = { proved: 0, likely: 1, possible: 2 } as const;

export function rank(findings: readonly Finding[]): Finding[] {
  const merged: Finding[] = [];
  for (const f of findings) {
    const i = merged.findIndex((m) => m.code === f.code);
    const known = merged[i];
    if (known === undefined) merged.push(f);
    else if (strength[f.confidence] < strength[known.confidence]) merged[i] = f;
  }
  const weight = (f: Finding): number => strength[f.confidence];
  const kept = merged.filter(
    (f) =>
      !merged.some(
        (other) =>
          other !== f &&
          weight(other) <= weight(f) &&
          explains.some(
            (x) =>
              x.cause(other.code) &&
              x.consequence(f.code) &&
              !(x.cause(f.code) && x.consequence(other.code) && stageOf(f.code) < stageOf(other.code)),
          ),
      ),
  );
  // a guess says nothing beside what is likely, unless it is about something else
  const strong = kept.filter((f) => f.confidence !== 'possible');
  const shown = strong.some((f) => f.degrades !== true) ? kept.filter((f) => f.confidence !== 'possible' || stageOf(f.code) <= 1) : kept;
  return shown
    .filter((f) => !(f.degrades === true && f.confidence === 'possible' && strong.length > 0))
    .toSorted(
      (a, b) =>
        weight(a) - weight(b) ||
        Number(a.degrades === true) - Number(b.degrades === true) ||
        stageOf(a.code) - stageOf(b.code) ||
        a.code.localeCompare(b.code),
    );
}
