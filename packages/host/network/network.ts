/**
 * The network organ of a host. One network = bridge + subnet + leases (slots) + rules; one slot = namespace + port + TAP.
 *
 * Promises:
 * - everything made here bears the mark of this installation, and only what bears it is ever changed or removed;
 * - ensure makes true whatever is missing, from any half-made state; absent removes whatever is left; a repeat of either only looks;
 * - the rules are there before the first port is, and go after the last one;
 * - what a tool *says* decides nothing: after a failure the world is looked at again.
 *
 * A network of kind `user` lives inside the VMM process, so here there is nothing to make and nothing to remove.
 *
 * Spawning costs 3 ms each on the reference machine, more than the kernel's own work, so a slot takes one `ip -batch`: the part inside the
 * namespace is a second `ip` that the first one starts (`netns exec` in a batch forks). Tools run behind `prefix`, which lets tests put
 * "the host" into a namespace of its own. It must change nothing but the network namespace (`nsenter --net=…`, not `ip netns exec`, which
 * also takes a private mount namespace: a namespace added there is mounted where nobody else sees it).
 */
import { access, constants, readFile, readlink, rm, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Fault, Network } from '@linstock/contract';
import { bridgeName, mostPorts, parseSlotName, parseSubnet, shortestPrefix, slotName } from '@linstock/core';
import type { Wiring } from '@linstock/core';
import { ToolFailure, exec, execOk, succeeded } from '../tools/exec.ts';
import type { ExecResult } from '../tools/exec.ts';
import { ensureFolder, isAbsence, isThere, listFolder, readTextIfThere, sha256, writeDurably } from '../tools/files.ts';
import { findClash } from './clash.ts';
import { isRecord, parseArrays, parseLinks, textOf } from './links.ts';
import type { Link } from './links.ts';
import { lookAtSlot } from './observe.ts';
import type { SlotSight } from './observe.ts';
import { nothingThere, planBridge, planSlot } from './plan.ts';
import type { NamespaceState, SlotLook, SlotTarget } from './plan.ts';
import { normalListing, parseTableName, renderNoRules, renderRules, tableName } from './rules.ts';

/** Something of the network that bears our mark. `owner` is the slot's name, or the bridge's for what belongs to the whole network. */
export type NetworkThing = { kind: 'netns' | 'link' | 'table'; name: string; owner: string };

export type BridgeNetworksOptions = {
  mark: string;
  /** folder of this organ alone: rule files, and what the host was like before */
  stateFolder: string;
  /** words before every command */
  prefix?: readonly string[];
};

/** Where iproute2 keeps named namespaces (ip-netns(8)). */
const NAMESPACES = '/run/netns';
const LINKS = '/sys/class/net';
/** f_type of a bind-mounted namespace file (NSFS_MAGIC, linux/magic.h). */
const NSFS_MAGIC = 0x6e736673;
const FORWARD = '/proc/sys/net/ipv4/ip_forward';
/** Bits of CapEff in /proc/self/status (linux/capability.h): links and rules, and mounting a namespace. */
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
/** Generous: removing one link takes 20–80 ms of waiting inside the kernel, and others may hold the same lock. */
const TOOL_TIMEOUT_MS = 10_000;
/** Per removed thing on top, for a purge of a full network. */
const REMOVAL_MS = 500;

export class BridgeNetworks {
  readonly #mark: string;
  readonly #folder: string;
  readonly #prefix: readonly string[];
  /** batch files already written by this object, by path: content never changes under a name */
  readonly #written = new Map<string, Promise<void>>();
  #ipv6: Promise<boolean> | undefined;

  constructor(options: BridgeNetworksOptions) {
    if (!/^[0-9a-f]{1,6}$/.test(options.mark))
      throw new Error(`the mark must be 1 to 6 hex digits to fit an interface name: ${options.mark}`);
    // the path is a word in a batch file of ip, which knows quotes but no escapes
    if (/["\n\\]/.test(options.stateFolder))
      throw new Error(`the state folder may not contain quotes, backslashes or newlines: ${options.stateFolder}`);
    this.#mark = options.mark;
    this.#folder = options.stateFolder;
    this.#prefix = options.prefix ?? [];
  }

  /** Whether this network can be made here; null when it can. Changes nothing. */
  async preflight(network: Network): Promise<Fault | null> {
    if (network.kind === 'user') return null;
    const subnet = parseSubnet(network.subnet);
    if (subnet === null)
      return { code: 'request-invalid', data: { problems: `subnet ${network.subnet} is not an IPv4 network of /8 to /30` } };
    if (subnet.prefix < shortestPrefix)
      return { code: 'network-too-large', data: { subnet: network.subnet, ports: mostPorts, largest: `/${shortestPrefix}` } };
    const lacking = (await this.#lackingTool()) ?? (await lackingPermission());
    if (lacking !== null) return lacking;
    await ensureFolder(this.#folder);
    const file = join(this.#folder, `check-${network.index}.nft`);
    await writeDurably(file, renderRules(this.#mark, network));
    const check = await this.#run(['nft', '-c', '-f', file]);
    await rm(file, { force: true });
    if (!succeeded(check))
      return {
        code: 'host-lacks-tool',
        data: { tool: 'nft with tables of family bridge', package: 'nftables 1.0 or newer, on a kernel with CONFIG_NF_TABLES_BRIDGE' },
      };
    const [addresses, routes] = await Promise.all([
      this.#ok(['ip', '-json', '-4', 'address', 'show']),
      this.#ok(['ip', '-json', '-4', 'route', 'show', 'table', 'all']),
    ]);
    const clash = findClash(subnet, bridgeName(this.#mark, network.index), parseArrays(addresses.stdout), parseArrays(routes.stdout));
    return clash === null ? null : { code: 'network-clash', data: { subnet: network.subnet, other: clash.other, device: clash.device } };
  }

  async ensureNetwork(network: Network, signal?: AbortSignal): Promise<void> {
    if (network.kind === 'user') return;
    await ensureFolder(this.#folder);
    await this.#ensureRules(network, signal);
    const bridge = bridgeName(this.#mark, network.index);
    const look = async (): Promise<string[]> => {
      const shown = await this.#run(['ip', '-json', '-d', 'address', 'show', 'dev', bridge], signal);
      return planBridge(bridge, network, await this.#hasIpv6(), parseLinks(shown.stdout).find((l) => l.name === bridge) ?? null);
    };
    const lines = await look();
    if (lines.length > 0) await this.#ok(['ip', '-batch', '-'], signal, lines);
    if (network.egress) await this.#ensureForwarding(signal);
  }

  async absentNetwork(network: Network, signal?: AbortSignal): Promise<void> {
    if (network.kind === 'user') return;
    await this.#removeNetworks([network.index], signal);
  }

  /** The network must be there (ensureNetwork). One command when nothing of the slot is there, one when all of it is. */
  async ensureSlot(network: Network, wiring: Wiring, signal?: AbortSignal): Promise<void> {
    if (network.kind === 'user') return;
    const target: SlotTarget = {
      bridge: bridgeName(this.#mark, network.index),
      wiring,
      isolated: network.isolated,
      ipv6: await this.#hasIpv6(),
    };
    // without its namespace a slot has nothing, almost surely: trying costs less than looking, and a wrong guess is looked at below
    const first = (await namespaceState(wiring.netns)) === 'absent' ? nothingThere : await this.#lookSlot(wiring, signal);
    const attempt = await this.#perform(target, first, signal);
    if (attempt === null || succeeded(attempt)) return;
    signal?.throwIfAborted();
    // whoever empties our folder may have taken the batch file as well
    this.#written.clear();
    const second = await this.#perform(target, await this.#lookSlot(wiring, signal), signal);
    if (second !== null && !succeeded(second)) {
      signal?.throwIfAborted();
      throw new ToolFailure(second);
    }
  }

  /**
   * Whether a slot that ensureSlot made is still there, as far as the host's side shows it, without starting a process: its namespace, and
   * its port on our bridge, isolated as asked. What is inside the namespace only its own VMM could change.
   */
  async stillStands(network: Network, wiring: Wiring): Promise<boolean> {
    const port = join(LINKS, wiring.port);
    try {
      const [namespace, bridge, isolated] = await Promise.all([
        namespaceState(wiring.netns),
        readlink(join(port, 'master')),
        readFile(join(port, 'brport/isolated'), 'utf8'),
      ]);
      return (
        namespace === 'there' &&
        basename(bridge) === bridgeName(this.#mark, network.index) &&
        (isolated.trim() === '1') === network.isolated
      );
    } catch (error) {
      if (isAbsence(error)) return false;
      throw error;
    }
  }

  async absentSlot(network: Network, slot: number, signal?: AbortSignal): Promise<void> {
    if (network.kind === 'user') return;
    const name = slotName(this.#mark, network.index, slot);
    await this.#removeSlot(name, signal);
  }

  /** Everything here that bears our mark, known or not. */
  async inventory(signal?: AbortSignal): Promise<readonly NetworkThing[]> {
    const [spaces, links, tables] = await Promise.all([listFolder(NAMESPACES), this.#allLinks(signal), this.#allTables(signal)]);
    return [
      ...spaces
        .filter((name) => parseSlotName(this.#mark, name) !== null)
        .map((name): NetworkThing => ({ kind: 'netns', name, owner: name })),
      ...links
        .filter((name) => parseSlotName(this.#mark, name) !== null || this.#bridgeIndex(name) !== null)
        .map((name): NetworkThing => ({ kind: 'link', name, owner: name })),
      ...tables.flatMap(({ family, name }): NetworkThing[] => {
        const index = parseTableName(this.#mark, name);
        return index === null ? [] : [{ kind: 'table', name: `${family} ${name}`, owner: bridgeName(this.#mark, index) }];
      }),
    ];
  }

  /** Removes the owner of a thing that no record claims: its slot, or its whole network. */
  async remove(thing: NetworkThing, signal?: AbortSignal): Promise<void> {
    const slot = parseSlotName(this.#mark, thing.owner);
    const index = this.#bridgeIndex(thing.owner);
    if (slot !== null) await this.#removeSlot(thing.owner, signal);
    else if (index !== null) await this.#removeNetworks([index], signal);
    else throw new Error(`${thing.owner} does not bear the mark ${this.#mark}`);
  }

  async #removeSlot(name: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#removeLinksAndNamespaces([name], (await namespaceState(name)) === 'absent' ? [] : [name], signal);
  }

  /** What diagnosis and proof look at. Changes nothing, never throws because something is missing. */
  async observeSlot(network: Network, wiring: Wiring, signal?: AbortSignal): Promise<SlotSight | null> {
    if (network.kind === 'user') return null;
    return lookAtSlot({
      run: (argv, lines) => this.#run(argv, signal, lines),
      namespace: await namespaceState(wiring.netns),
      bridge: bridgeName(this.#mark, network.index),
      table: tableName(this.#mark, network.index),
      wiring,
    });
  }

  /** Removes everything with our mark and gives the host back as it was. */
  async purge(signal?: AbortSignal): Promise<void> {
    const things = await this.inventory(signal);
    const indexes = new Set(things.flatMap((t) => parseSlotName(this.#mark, t.owner)?.index ?? this.#bridgeIndex(t.owner) ?? []));
    await this.#removeNetworks([...indexes], signal);
    const before = await readTextIfThere(this.#forwardFile);
    if (before !== undefined) {
      await this.#ok(['tee', FORWARD], signal, [before]);
      await rm(this.#forwardFile, { force: true });
    }
  }

  // --- rules and forwarding

  /** Loads the rules unless those in the kernel are still the ones that this text made. */
  async #ensureRules(network: Network, signal: AbortSignal | undefined): Promise<void> {
    const text = renderRules(this.#mark, network);
    const table = tableName(this.#mark, network.index);
    const file = join(this.#folder, `rules-${network.index}.nft`);
    const receipt = join(this.#folder, `rules-${network.index}.loaded`);
    const digest = async (): Promise<string | null> => {
      // -s: without counters. Two commands: in one, nft 1.0.6 looks for both tables in the family of the last
      const listed = await Promise.all(['bridge', 'ip'].map((family) => this.#run(['nft', '-s', 'list', 'table', family, table], signal)));
      return listed.every(succeeded) ? sha256(text + listed.map((l) => normalListing(l.stdout)).join('\n')) : null;
    };
    const wanted = await readTextIfThere(receipt);
    if (wanted !== undefined && wanted === (await digest())) return;
    await writeDurably(file, text);
    // a file, because under Node standard input is a socket, which nft cannot open by its name
    await this.#ok(['nft', '-f', file], signal);
    const loaded = await digest();
    // somebody may flush at this very moment; without a receipt the next ensure loads again
    if (loaded === null) await rm(receipt, { force: true });
    else await writeDurably(receipt, loaded);
  }

  get #forwardFile(): string {
    return join(this.#folder, 'ip-forward.before');
  }

  /** The one setting of the host itself that we change: what it was is written down first, and `purge` puts it back. */
  async #ensureForwarding(signal: AbortSignal | undefined): Promise<void> {
    const now = (await this.#ok(['cat', FORWARD], signal)).stdout.trim();
    if (now !== '0') return;
    if (!(await isThere(this.#forwardFile))) await writeDurably(this.#forwardFile, now);
    await this.#ok(['tee', FORWARD], signal, ['1']);
  }

  // --- looking

  async #lookSlot(wiring: Wiring, signal: AbortSignal | undefined): Promise<SlotLook> {
    const namespace = await namespaceState(wiring.netns);
    const lines = [`link show dev ${wiring.port}`, ...(namespace === 'there' ? [`netns exec ${wiring.netns} ip -json -d link show`] : [])];
    // -force: a port that is not there is an answer, not the end of the batch
    const shown = await this.#run(['ip', '-force', '-json', '-d', '-batch', '-'], signal, lines);
    if (shown.code === null) throw new ToolFailure(shown);
    const links = parseLinks(shown.stdout);
    // names inside are never like names of ours outside
    return { namespace, port: links.find((l) => l.name === wiring.port) ?? null, inside: links.filter((l) => l.name !== wiring.port) };
  }

  async #allLinks(signal: AbortSignal | undefined): Promise<string[]> {
    return parseLinks((await this.#ok(['ip', '-json', 'link', 'show'], signal)).stdout).map((l: Link) => l.name);
  }

  async #allTables(signal: AbortSignal | undefined): Promise<{ family: string; name: string }[]> {
    const listed: unknown = JSON.parse((await this.#ok(['nft', '-j', 'list', 'tables'], signal)).stdout);
    const items = isRecord(listed) && Array.isArray(listed['nftables']) ? listed['nftables'].filter(isRecord) : [];
    return items.flatMap((item) => {
      const table = item['table'];
      const family = isRecord(table) ? textOf(table['family']) : null;
      const name = isRecord(table) ? textOf(table['name']) : null;
      return family === null || name === null ? [] : [{ family, name }];
    });
  }

  #bridgeIndex(name: string): number | null {
    const index = Number(/-br(\d{1,2})$/.exec(name)?.[1]);
    return bridgeName(this.#mark, index) === name ? index : null;
  }

  /** IPv6 is a property of the kernel, the same in every namespace (`ipv6.disable=1`, or not built). */
  #hasIpv6(): Promise<boolean> {
    this.#ipv6 ??= isThere('/proc/net/if_inet6');
    return this.#ipv6;
  }

  // --- changing

  async #perform(target: SlotTarget, look: SlotLook, signal: AbortSignal | undefined): Promise<ExecResult | null> {
    const plan = planSlot(target, look);
    const lines = [...plan.host];
    if (plan.inside.length > 0) lines.push(`netns exec ${target.wiring.netns} ip -batch "${await this.#batchFile(plan.inside)}"`);
    return lines.length === 0 ? null : this.#run(['ip', '-batch', '-'], signal, lines);
  }

  /** Named by its content, so it is written once: a slot from nothing always needs the same lines. */
  async #batchFile(lines: readonly string[]): Promise<string> {
    const text = lines.join('\n') + '\n';
    const path = join(this.#folder, `inside-${sha256(text).slice(0, 16)}.batch`);
    let written = this.#written.get(path);
    if (written === undefined) {
      // the promise, not the fact, is kept: slots made at the same time share one writing
      written = this.#writeBatch(path, text).catch((error: unknown) => {
        this.#written.delete(path);
        throw error;
      });
      this.#written.set(path, written);
    }
    await written;
    return path;
  }

  async #writeBatch(path: string, text: string): Promise<void> {
    await ensureFolder(this.#folder);
    if ((await readTextIfThere(path)) !== text) await writeDurably(path, text);
  }

  async #removeNetworks(indexes: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    if (indexes.length === 0) return;
    const [spaces, links] = await Promise.all([listFolder(NAMESPACES), this.#allLinks(signal)]);
    const mine = (name: string): boolean => indexes.includes(parseSlotName(this.#mark, name)?.index ?? -1);
    const bridges = links.filter((name) => indexes.includes(this.#bridgeIndex(name) ?? -1));
    await this.#removeLinksAndNamespaces([...links.filter(mine), ...bridges], spaces.filter(mine), signal);
    await ensureFolder(this.#folder);
    const file = join(this.#folder, 'no-rules.nft');
    await writeDurably(file, renderNoRules(this.#mark, indexes));
    await this.#ok(['nft', '-f', file], signal);
    await rm(file, { force: true });
    for (const index of indexes)
      for (const end of ['nft', 'loaded']) await rm(join(this.#folder, `rules-${index}.${end}`), { force: true });
  }

  /** Links first: a namespace takes its links with it only later, in the background, and until then their names are taken. */
  async #removeLinksAndNamespaces(links: readonly string[], spaces: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const lines = [...links.map((name) => `link del ${name}`), ...spaces.map((name) => `netns del ${name}`)];
    if (lines.length === 0) return;
    const removal = await this.#run(['ip', '-force', '-batch', '-'], signal, lines, TOOL_TIMEOUT_MS + REMOVAL_MS * lines.length);
    if (succeeded(removal)) return;
    // some of it was not there to begin with, or could not be removed: what is there now tells which
    signal?.throwIfAborted();
    const left = (await this.#allLinks(signal)).filter((name) => links.includes(name));
    for (const name of spaces) if ((await namespaceState(name)) !== 'absent') left.push(name);
    if (left.length > 0) throw new ToolFailure(removal);
  }

  async #run(argv: readonly string[], signal?: AbortSignal, lines?: readonly string[], timeoutMs = TOOL_TIMEOUT_MS): Promise<ExecResult> {
    return exec([...this.#prefix, ...argv], this.#options(signal, lines, timeoutMs));
  }

  async #ok(argv: readonly string[], signal?: AbortSignal, lines?: readonly string[]): Promise<ExecResult> {
    return execOk([...this.#prefix, ...argv], this.#options(signal, lines, TOOL_TIMEOUT_MS));
  }

  #options(signal: AbortSignal | undefined, lines: readonly string[] | undefined, timeoutMs: number): Parameters<typeof exec>[1] {
    return {
      timeoutMs,
      // a listing of 1,000 links in JSON is 400 KB; its beginning may not be lost
      maxOutputBytes: 16 * 1024 * 1024,
      signal,
      ...(lines === undefined ? {} : { input: Buffer.from(lines.join('\n') + '\n') }),
    };
  }

  async #lackingTool(): Promise<Fault | null> {
    const tools = [
      { tool: 'ip', package: 'iproute2', argv: ['ip', '-V'] },
      { tool: 'bridge', package: 'iproute2', argv: ['bridge', '-V'] },
      { tool: 'nft', package: 'nftables', argv: ['nft', '--version'] },
    ];
    const missing = await Promise.all(
      tools.map(async (t) => ({ ...t, gone: (await exec(t.argv, { timeoutMs: TOOL_TIMEOUT_MS })).spawnError === 'ENOENT' })),
    );
    const first = missing.find((t) => t.gone);
    return first === undefined ? null : { code: 'host-lacks-tool', data: { tool: first.tool, package: first.package } };
  }
}

/** Root of a user namespace has the bits too, and for its own network namespaces that is enough (user_namespaces(7)). */
async function lackingPermission(): Promise<Fault | null> {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  if (!((effective >> CAP_NET_ADMIN) & 1n) || !((effective >> CAP_SYS_ADMIN) & 1n)) {
    return {
      code: 'host-lacks-permission',
      data: { what: 'Making bridges and network namespaces', hint: 'run as root, or use a network of kind user' },
    };
  }
  try {
    await access('/dev/net/tun', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    if (isAbsence(error))
      return { code: 'host-lacks-tool', data: { tool: '/dev/net/tun', package: 'a kernel with CONFIG_TUN, or load the module tun' } };
    return { code: 'host-lacks-permission', data: { what: 'Opening /dev/net/tun', hint: 'run as root, or use a network of kind user' } };
  }
}

export async function namespaceState(name: string): Promise<NamespaceState> {
  try {
    return (await statfs(join(NAMESPACES, name))).type === NSFS_MAGIC ? 'there' : 'broken';
  } catch (error) {
    if (isAbsence(error)) return 'absent';
    throw error;
  }
}
