import { compareArgs } from '../../cmdline-compare.ts';
import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import type { Line } from '../text.ts';
import type { Finding, Rule } from './rule.ts';
import { bySignature, type Signature } from './signatures.ts';

/** What the controller and its people did: arguments, kills, old processes, wrong images, open doors. */
const table: readonly Signature[] = [
  {
    code: 'control.clone-too-slow',
    says: /(?:clon|cop(?:y|ies|ying)|snapshot|rootfs|dd\b).{0,80}(?:timed out after|timeout after|took (?:\d{2,} ?s\b|\d{5,} ?ms))|event loop blocked/i,
    where: 'vmm',
    but: /memory/,
  },
  {
    code: 'control.database-rejects-state',
    says: /violates (?:check|not-null|foreign key|unique) constraint|\b2350[235]\b|\b23514\b|column "\w+" (?:of relation )?.{0,40}does not exist|SQLITE_CONSTRAINT/,
    where: 'vmm',
  },
  {
    code: 'control.config-key-ignored',
    says: /(?:unknown|ignored|unrecognized|unused) (?:environment|env|config\w*) (?:variable|key|setting)s?|env(?:ironment)?\W.{0,60}(?:not read|is ignored|ignored by)|code reads \w+/i,
    where: 'vmm',
  },
  { code: 'control.rate-limited', says: /\b429\b.{0,40}(?:Too Many|rate)|Too Many Requests|rate.?limit(?:ed)? exceeded/i, where: 'vmm' },
  { code: 'control.deploy-in-place', says: /uv_cwd|ENOENT: .*getcwd|rsync .*--delete/, where: 'vmm' },
  {
    code: 'control.code-error',
    says: /ReferenceError: |TypeError: (?:Cannot read|\w+ is not a function|undefined)|NullPointerException|panic: runtime error|nil pointer dereference/,
    where: 'vmm',
    confidence: 'possible',
  },
  {
    code: 'control.orphans-after-restart',
    says: /(?:orphan|not (?:in|known to) (?:the )?(?:map|memory|database|db)).{0,60}(?:process|VM|firecracker)|(?:process|VM)s? .{0,40}not in (?:memory|map|database)/i,
    where: 'vmm',
  },
  {
    code: 'control.session-points-elsewhere',
    says: /(?:session|proxy|front.?end).{0,80}(?:wrong|stale|old|other|different) (?:IP|address|VM|target)|polls? \S+ .{0,20}(?:VM|but).{0,20}is/i,
    where: 'vmm',
  },
  {
    code: 'control.external-dependency-blocks',
    says: /(?:proxy|external|license|upstream) check.{0,60}(?:timed out|blocks|failed).{0,60}(?:VM|create)/i,
    where: 'vmm',
  },
  {
    code: 'host.controller-unreachable',
    says: /ssh: connect to host .{0,60}Host is down|\b(?:controller|hypervisor) (?:host )?(?:is )?(?:down|offline|unreachable|powered off)|last (?:log )?entry .{0,20}(?:minutes|hours|days) old|heartbeat.{0,40}(?:missed|old|lost|expired)/i,
    where: 'vmm',
  },
];

export const control: Rule = (e, p) => [
  ...bySignature(table, e, p).filter((f) => f.code !== 'host.controller-unreachable' || p.reached === null),
  ...placeholders(e, p),
  ...kills(e, p),
  ...staleProcess(e, p),
  ...notApplied(e, p),
  ...otherKernel(e, p),
  ...strangeSession(e, p),
  ...wrongImage(e, p),
  ...lies(e, p),
  ...doors(e, p),
];

function placeholders(e: Evidence, p: Picture): Finding[] {
  const line = e.commandLine?.at ?? e.asked.bootArgs?.at;
  const args = e.commandLine?.args ?? e.asked.bootArgs?.value.split(/\s+/) ?? [];
  const bad = args.find((a) =>
    /(?:^|[=:,/])(?:undefined|null|NaN|None|\[object\b|<no value>)(?:$|[:,/\s])|\[object\b|\$\{[^}]*\}|\{\{[^}]*\}\}|%[sd](?:$|:)/.test(a),
  );
  if (bad === undefined || !line) return [];
  const effect = p.find(/Unable to set interface netmask|mask=166\.0\.0\.0/);
  return [
    {
      code: 'control.unresolved-value-in-boot-args',
      confidence: 'likely',
      because: [p.citeLine(line), ...(effect ? [p.citeLine(effect.line)] : [])],
      title: `The boot arguments contain "${bad.slice(0, 80)}": a value that the controller did not have`,
    },
  ];
}

const notConsole = (l: Line): boolean => !l.console && l.kind !== 'console';

function kills(e: Evidence, p: Picture): Finding[] {
  const kill = p.findAny(
    /(?:not ready after|health ?check failed|(?:deadline|timeout|timed out).{0,40}(?:exceeded|reached|expired)?).{0,80}(?:destroy|kill|terminat|delet|remov|stop)|destroyVM|killing VM|VM (?:killed|destroyed|terminated) (?:by|after)|(?:destroy|terminat|delet|kill|stopp)(?:ing|ed|e)? (?:the )?(?:micro)?vm/i,
    notConsole,
  );
  const cleanup = p.findAny(
    /(?:cleanup|clean-up|clean up|reaper|garbage|gc|queue|janitor|processor|idle).{0,80}(?:delet|destroy|kill|remov|terminat|reap)/i,
    notConsole,
  );
  const alive = p.reached ?? e.probes.find((x) => x.answer === 'ok' || x.answer === 'refused') ?? null;
  const gone =
    e.links.some((l) => l.kind === 'tap' && l.flags.includes('NO-CARRIER')) ||
    p.lost ||
    p.vmmGone !== null ||
    /destroy|removed|gone|killed/i.test(kill?.body ?? '');
  if (cleanup && !kill && (alive || p.vmmGone))
    return [{ code: 'control.vm-destroyed-by-cleanup', confidence: 'likely', because: [p.citeLine(cleanup)] }];
  if (
    cleanup &&
    kill &&
    cleanup === kill &&
    /queue|cleanup|reaper|janitor|gc\b/i.test(kill.body) &&
    !/deadline|timeout|not ready/i.test(kill.body)
  )
    return [{ code: 'control.vm-destroyed-by-cleanup', confidence: 'likely', because: [p.citeLine(kill)] }];
  if (!kill || !alive || !gone) return [];
  return [{ code: 'control.vm-destroyed-by-controller-deadline', confidence: 'likely', because: [p.citeLine(kill), p.citeLine(alive.at)] }];
}

function staleProcess(e: Evidence, p: Picture): Finding[] {
  const inUse = p.findAny(
    /EADDRINUSE|[Aa]ddress already in use/,
    (l) => notConsole(l) && l.place !== 'guest' && /listen|0\.0\.0\.0|:\d{2,5}\b|bind/.test(l.body) && !/\.sock/.test(l.body),
  );
  const old = p.findAny(
    /(?:code|build|started|running) (?:of |from |since |for )?\d+ (?:days?|hours?|weeks?)(?: ago)?|uptime\W{1,4}\d{5,}|old (?:process|code|version|build) (?:still|is|keeps)|started (?:before|\d+ \w+ before) (?:the )?deploy|(?:deploy\w*|commit|build).{0,60}(?:newer|after|later) .{0,40}(?:process|started|uptime|running)/i,
    notConsole,
  );
  const deploy = p.findAny(/deploy/i, notConsole);
  if (inUse && old)
    return [{ code: 'control.stale-process-serves-requests', confidence: 'likely', because: [p.citeLine(inUse), p.citeLine(old)] }];
  if (old && deploy && /uptime|started|old (?:process|code)|running/i.test(old.body))
    return [
      {
        code: 'control.stale-process-serves-requests',
        confidence: 'likely',
        because: [p.citeLine(old), ...(deploy === old ? [] : [p.citeLine(deploy)])],
      },
    ];
  return inUse && /restart counter|nohup|systemd|pm2|node|listen/i.test(inUse.body)
    ? [{ code: 'control.stale-process-serves-requests', confidence: 'possible', because: [p.citeLine(inUse)] }]
    : [];
}

/** The founding case: what was asked for is not on the line the kernel printed. */
function notApplied(e: Evidence, p: Picture): Finding[] {
  const asked = e.asked.bootArgs;
  if (!asked || e.commandLine === null) return [];
  const words = asked.value.split(/\s+/).filter((w) => w !== '');
  // a sentence about arguments is not a command line
  if (
    words.filter((w) => /^[\w.-]+(?:=\S*)?$/.test(w)).length < words.length ||
    words.some((w) => /^(?:contains|the|with|and)$/.test(w)) ||
    words.length < 2
  )
    return [];
  const compared = compareArgs({
    given: words,
    addedForVmm: [],
    appendedByVmm: [],
    effective: e.commandLine.args.join(' '),
    effectiveIsCut: e.facts.commandLine?.cut ?? false,
  });
  const lost = [
    ...compared.missing,
    ...compared.changed.filter((c) => c.key !== 'root' && c.key !== 'console').map((c) => `${c.key}=${c.expected}`),
  ];
  if (lost.length === 0) return [];
  return [
    {
      code: 'control.boot-args-not-applied',
      confidence: 'likely',
      because: [p.citeLine(asked.at), p.citeLine(e.commandLine.at)],
      title: `Asked for, and not on the guest's command line: ${lost.slice(0, 5).join(' ').slice(0, 160)}`,
      degrades: true,
    },
  ];
}

function wrongImage(e: Evidence, p: Picture): Finding[] {
  const because: Line[] = [];
  for (const line of e.lines) {
    if (line.console || because.length > 3) continue;
    const text = line.body;
    const twoNames = /(?:writes?|builds?|produces|outputs?)\s+(\S{4,80}?),?\s.{0,40}(?:boots?|uses|starts|runs|loads)\s+(\S{4,80})/i.exec(
      text,
    );
    if (twoNames && twoNames[1] !== twoNames[2]) because.push(line);
    else if (
      /in (?:the )?image\W.{0,20}\d+ lines.{0,60}(?:source|truth|repo|git)|(?:sha256|digest|hash|md5(?:sum)?).{0,120}(?:mismatch|differs?|expected|does not match|!=)|(?:image|rootfs).{0,60}(?:older than|stale|out of date|outdated|wrong (?:image|name|file))|old (?:agent|code|version) (?:still )?in (?:the )?image|(?:symlink|link).{0,60}(?:points? to|->).{0,60}(?:old|wrong|previous)/i.test(
        text,
      )
    )
      because.push(line);
  }
  const mtimes = e.lines.flatMap((l) => {
    const m = /\bmtime (\w{3}) {1,2}(\d{1,2}) (\d\d):(\d\d)/.exec(l.body) ?? /\bmtime (\d{4})-(\d\d)-(\d\d)[T ](\d\d)/.exec(l.body);
    return m ? [{ line: l, image: /image|rootfs|\.ext4|golden/.test(l.body), key: mtimeKey(m) }] : [];
  });
  const image = mtimes.find((m) => m.image);
  const source = mtimes.find((m) => !m.image);
  if (image && source && source.key > image.key) because.push(image.line, source.line);
  because.push(...foreignUnits(e));
  return because.length > 0
    ? [{ code: 'image.stale-or-wrong-image', confidence: 'likely', because: [...new Set(because)].slice(0, 4).map((l) => p.citeLine(l)) }]
    : [];
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
function mtimeKey(m: RegExpExecArray): string {
  const month = months.indexOf(m[1] ?? '');
  return month >= 0 ? `${String(month).padStart(2, '0')}${(m[2] ?? '').padStart(2, '0')}${m[3]}${m[4]}` : `${m[1]}${m[2]}${m[3]}${m[4]}`;
}

/** The units that this image should start, against those the console shows. */
function foreignUnits(e: Evidence): Line[] {
  const promise = e.lines.find((l) => !l.console && /\bunits?:\s*([\w@.-]+(?:,\s*[\w@.-]+){2,})/.test(l.body));
  const names = promise ? (/\bunits?:\s*([\w@.-]+(?:,\s*[\w@.-]+)+)/.exec(promise.body)?.[1] ?? '').split(/,\s*/) : [];
  const started = e.units.filter((u) => u.at.console && u.state === 'started');
  if (!promise || names.length < 3 || started.length < 3) return [];
  const plain = (text: string): string =>
    text
      .toLowerCase()
      .replace(/@.*$|\.service.*$/, '')
      .replaceAll(/[^a-z0-9]/g, '');
  const seen = started.map((u) => plain(u.unit));
  const matched = names.filter((n) => seen.some((s) => s.startsWith(plain(n).slice(0, 10))));
  const first = started[0];
  return matched.length * 2 < names.length && first ? [promise, first.at] : [];
}

/** The release in the banner is not the one that was asked for by name. */
function otherKernel(e: Evidence, p: Picture): Finding[] {
  const asked = e.asked.kernel;
  const wanted = /(\d+\.\d+(?:\.\d+)?)/.exec(asked?.value ?? '')?.[1];
  const runs = /Linux version (\d+\.\d+(?:\.\d+)?)/.exec(e.facts.banner?.text ?? '')?.[1];
  if (!asked || wanted === undefined || runs === undefined || e.facts.banner === null) return [];
  if (runs === wanted || runs.startsWith(`${wanted}.`) || wanted.startsWith(`${runs}.`)) return [];
  return [
    {
      code: 'kernel.other-than-requested',
      confidence: 'likely',
      because: [p.citeLine(asked.at), ...p.citeConsole(e.facts.banner)],
      title: `Kernel ${wanted} was asked for, and ${runs} runs`,
      ...(p.reached ? { degrades: true as const } : {}),
    },
  ];
}

/** Somebody asks at an address that belonged to another VM. */
function strangeSession(e: Evidence, p: Picture): Finding[] {
  const record = e.lines.find(
    (l) => notConsole(l) && /\b(?:session|redis|cache|proxy|front.?end)\b.{0,120}(?:\d{1,3}\.){3}\d{1,3}/i.test(l.body) && !e.plain.has(l),
  );
  const address = /((?:\d{1,3}\.){3}\d{1,3})/.exec(record?.body ?? '')?.[1];
  const works = e.probes.find(
    (x) => x.answer === 'ok' && x.place !== 'guest' && x.target !== null && x.target !== address && x.kind !== 'arp',
  );
  const dead = e.probes.some((x) => x.target === address && x.answer !== 'ok');
  if (!record || address === undefined || !works || !dead) return [];
  return [{ code: 'control.session-points-elsewhere', confidence: 'likely', because: [p.citeLine(record), p.citeLine(works.at)] }];
}

/** A status without a process; another VM's log. */
function lies(e: Evidence, p: Picture): Finding[] {
  const says = p.findAny(
    /\bstatus\W{0,4}(?:is )?"?(?:running|healthy|ready|active)\b/i,
    (l) => notConsole(l) && /controller|api|status|db|record/.test(`${l.section} ${l.body}`),
  );
  const noProcess = p.findAny(
    /no (?:such )?(?:process|pid|firecracker process|directory)|pid (?:is )?(?:null|missing|none)|no process|\(no output\)|process not found|"pid":\s?null|cannot access '[^']*(?:vms?|\.sock)/i,
    notConsole,
  );
  if (says && noProcess && e.console.length === 0 && e.vmm.exit === null && !p.tap)
    return [{ code: 'control.status-without-proof', confidence: 'likely', because: [p.citeLine(says), p.citeLine(noProcess)] }];
  const memory = e.asked.memoryMiB;
  const total = e.facts.memory;
  if (memory && total && e.facts.panic === null) {
    const seen = total.totalKiB / 1024;
    if (seen < memory.value * 0.5 || seen > memory.value * 1.3)
      return [{ code: 'control.wrong-vm-log', confidence: 'possible', because: [p.citeLine(memory.at), ...p.citeConsole(total)] }];
  }
  return [];
}

function doors(e: Evidence, p: Picture): Finding[] {
  const noAuth = p.findAny(
    /no auth(?:entication)?\b|without auth|unauthenticated|acl\.enabled\W{1,3}false|auth(?:entication)? (?:is )?(?:disabled|off|none)|default (?:password|credentials)|SecurityTypes None|-nopw\b|open VNC|no password|(?:allow|open) (?:to )?(?:all|anyone|0\.0\.0\.0\/0)/i,
    notConsole,
  );
  const open = e.listening.find((l) => l.place !== 'guest' && /^(?:0\.0\.0\.0|\*|::)$/.test(l.address));
  const bind = p.findAny(/bind_addr\W{1,3}0\.0\.0\.0|0\.0\.0\.0:\d{2,5}/, notConsole);
  const abuse = p.findAny(
    /abuse (?:mail|report|complaint)|unknown submitter|joined an? (?:attack|botnet)|crypto.?miner|xmrig/i,
    notConsole,
  );
  const outside = p.findAny(/^(?:external|outside|attacker|laptop|internet)\S*[:~$ ]/i, notConsole);
  const answered = e.lines.some(
    (l) =>
      /^(?:external|outside|attacker|laptop|internet)/i.test(l.text) &&
      /curl\b.{0,80}\/(?:api|v\d)\b/.test(l.text) &&
      !/[Aa]uthorization|-u /.test(l.text),
  );
  if (open && outside && answered) {
    return [{ code: 'security.unauthenticated-control-plane', confidence: 'likely', because: [p.citeLine(open.at), p.citeLine(outside)] }];
  }
  if (noAuth && (open || bind || abuse))
    return [
      {
        code: 'security.unauthenticated-control-plane',
        confidence: 'likely',
        because: [
          p.citeLine(noAuth),
          ...(open ? [p.citeLine(open.at)] : bind ? [p.citeLine(bind)] : []),
          ...(abuse ? [p.citeLine(abuse)] : []),
        ],
      },
    ];
  return [];
}
