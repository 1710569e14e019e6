/**
 * What will listen where: commands of units, sockets, scripts, inittab and configuration files, as far as they show it. Pure.
 */
import { baseName, namesIn, tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { valuesOf, wordsOf } from './ini.ts';
import type { Init } from './init.ts';
import { endpoint, endpointsOf, isLoopback, unwrapped } from './listener-programs.ts';
import type { Endpoint } from './listener-programs.ts';
import { plainWords, shellCommands } from './shell-words.ts';
import type { Boot } from './started.ts';
import { specified } from './unit-files.ts';
import type { UnitFiles, Unit } from './unit-files.ts';

/** Who listens: a unit or script, whether the boot starts it, where that is written. */
export type Speaker = { name: string; started: boolean; masked: boolean };
export type Listener = Speaker & { path: string; line: number; port: number; loopback: boolean; address: string | null };
/** A text that belongs to a speaker and may name a port. */
export type Speech = Speaker & { path: string; text: string };

export type Listening = { listeners: readonly Listener[]; speeches: readonly Speech[] };

/** A script of a service has some KB; what is longer is a program in an interpreted language. */
const mostScriptLength = 64 * 1024;
const mostScripts = 200;
const EXEC_KEYS = ['ExecStart', 'ExecStartPost', 'ExecStartPre'];

export function listeningOf(view: ImageView, files: UnitFiles | null, boot: Boot | null, init: Init): Listening {
  const gathered = new Gathered(view);
  for (const unit of files === null ? [] : files.names().flatMap((name) => files.unit(name) ?? [])) {
    if (/^\/(?:usr\/)?lib\/systemd\/system\/systemd-/.test(unit.path)) continue; // systemd's own
    gathered.unit(unit, boot?.started.has(unit.name) === true);
  }
  // Instances of templates have no file of their own.
  for (const { unit } of boot?.started.values() ?? []) if (/@[^@]+\./.test(unit.name)) gathered.unit(unit, true);
  if (init.kind !== 'systemd') {
    if (init.program.is === 'there' && init.program.form === 'script')
      gathered.script(init.program.path, { name: init.path, started: true, masked: false });
    gathered.inittab(init);
    for (const name of namesIn(view, '/etc/init.d'))
      gathered.script(`/etc/init.d/${name}`, { name, started: name === 'rcS' || init.services.includes(name), masked: false });
  }
  if (view.stat('/etc/rc.local').is === 'there') gathered.script('/etc/rc.local', { name: '/etc/rc.local', started: true, masked: false });
  return gathered;
}

class Gathered implements Listening {
  readonly listeners: Listener[] = [];
  readonly speeches: Speech[] = [];
  readonly #view: ImageView;
  readonly #seen = new Set<string>();
  #scripts = 0;

  constructor(view: ImageView) {
    this.#view = view;
  }

  unit(unit: Unit, started: boolean): void {
    const who: Speaker = { name: unit.name, started, masked: unit.masked };
    if (this.#seen.has(unit.name)) return;
    this.#seen.add(unit.name);
    for (const { value, path, line } of ['ListenStream', 'ListenDatagram'].flatMap((key) => valuesOf(unit.settings, 'Socket', key)))
      this.#add(endpoint(value), who, path, line);
    for (const { value, path, line } of EXEC_KEYS.flatMap((key) => valuesOf(unit.settings, 'Service', key)))
      this.command(plainWords(specified(value.replace(/^[-@:+!|]+/, ''), unit.name)), who, path, line, 0);
    const said = unit.settings.filter((one) => one.section === 'Service' && (EXEC_KEYS.includes(one.key) || one.key === 'Environment'));
    this.speeches.push({ ...who, path: unit.path, text: said.map((one) => specified(one.value, unit.name)).join('\n') });
    for (const path of wordsOf(unit.settings, 'Service', 'EnvironmentFile')) this.#speech(who, path.replace(/^-/, ''));
  }

  inittab({ inittab }: Init): void {
    const path = '/etc/inittab';
    const who: Speaker = { name: path, started: true, masked: false };
    this.#speech(who, path);
    for (const { process, line } of inittab ?? []) this.command(plainWords(process.replace(/^[-@]/, '')), who, path, line, 0);
  }

  script(path: string, who: Speaker, depth = 0): void {
    const text = this.#view.read(path, mostScriptLength).is === 'there' && this.#scripts++ < mostScripts ? textOf(this.#view, path) : null;
    if (text === null || text.length > mostScriptLength) return;
    this.speeches.push({ ...who, path, text });
    if (/^#!.*\b(?:ba|da|a|k|z)?sh\b|^#!.*openrc-run/.test(text))
      for (const { words, line } of shellCommands(text)) this.command(words, who, path, line, depth + 1);
    // OpenRC's services name their command in variables.
    const lines = text.split('\n');
    const valueOf = (key: string): string | undefined =>
      lines
        .map((row) => row.trim())
        .find((row) => row.startsWith(`${key}=`))
        ?.slice(key.length + 1);
    const command = valueOf('command');
    const args = lines.findIndex((row) => row.trim().startsWith('command_args='));
    if (command !== undefined && args >= 0)
      this.#add(
        endpointsOf([...plainWords(command), ...plainWords(plainWords(valueOf('command_args') ?? '')[0] ?? '')]),
        who,
        path,
        args + 1,
      );
  }

  command(given: readonly string[], who: Speaker, path: string, line: number, depth: number): void {
    const words = unwrapped(given);
    const program = baseName(words[0] ?? '');
    const inline =
      /^(?:ba|da|a)?sh$/.test(program) || program === 'su' || program === 'runuser' ? words.findIndex((word) => /^-\w*c$/.test(word)) : -1;
    if (inline > 0) {
      for (const inner of shellCommands(words[inline + 1] ?? '')) if (depth < 4) this.command(inner.words, who, path, line, depth + 1);
      return;
    }
    const configured = CONFIGURED[program];
    if (configured !== undefined) for (const one of configured(this.#view)) this.#add(one.endpoints, who, one.path, one.line);
    else this.#add(endpointsOf(words), who, path, line);
    const file = /^(?:ba|da|a)?sh$/.test(program) ? words.slice(1).find((word) => !word.startsWith('-')) : words[0];
    if (depth < 3 && file?.startsWith('/') === true && !this.#seen.has(`${who.name} ${file}`)) {
      this.#seen.add(`${who.name} ${file}`);
      const look = this.#view.stat(file);
      if (look.is === 'there' && look.node.kind === 'file' && look.node.bytes <= mostScriptLength) this.script(file, who, depth + 1);
    }
  }

  #speech(who: Speaker, path: string): void {
    const text = path.startsWith('/') && !path.includes('%') ? textOf(this.#view, path) : null;
    if (text !== null) this.speeches.push({ ...who, path, text: text.slice(0, mostScriptLength) });
  }

  #add(endpoints: readonly Endpoint[], who: Speaker, path: string, line: number): void {
    for (const { port, address } of endpoints) this.listeners.push({ ...who, path, line, port, address, loopback: isLoopback(address) });
  }
}

type Configured = { endpoints: readonly Endpoint[]; path: string; line: number };

/** Programs that read their ports from files of their own. */
const CONFIGURED: Readonly<Record<string, (view: ImageView) => Configured[]>> = {
  nginx: (view) => {
    const files = [
      '/etc/nginx/nginx.conf',
      ...filesIn(view, '/etc/nginx/conf.d', '.conf'),
      ...filesIn(view, '/etc/nginx/sites-enabled', ''),
    ];
    return directives(view, files, /^listen\s+([^\s;]+)/, (value) => endpoint(/^\d+$|:\d+$/.test(value) ? value : `${value}:80`));
  },
  sshd: (view) => {
    const files = [...filesIn(view, '/etc/ssh/sshd_config.d', '.conf'), '/etc/ssh/sshd_config'];
    const ports = directives(view, files, /^Port\s+(\d+)/i, endpoint);
    const addresses = directives(view, files, /^ListenAddress\s+(\S+)/i, (value) =>
      endpoint(/^[^:]+:\d+$|\]:\d+$/.test(value) ? value : `${value}:22`),
    );
    return addresses.length > 0
      ? addresses
      : ports.length > 0
        ? ports
        : [{ endpoints: endpoint('22'), path: '/etc/ssh/sshd_config', line: 1 }];
  },
  apache2: (view) => directives(view, ['/etc/apache2/ports.conf'], /^Listen\s+(\S+)/i, endpoint),
  lighttpd: (view) => directives(view, ['/etc/lighttpd/lighttpd.conf'], /^server\.port\s*=\s*(\d+)/, endpoint),
};

function filesIn(view: ImageView, folder: string, ending: string): string[] {
  return namesIn(view, folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);
}

function directives(view: ImageView, files: readonly string[], pattern: RegExp, read: (value: string) => Endpoint[]): Configured[] {
  return files.flatMap((path) =>
    tellingLines(textOf(view, path) ?? '').flatMap(({ text, line }) => {
      const value = pattern.exec(text)?.[1];
      return value === undefined ? [] : [{ endpoints: read(value), path, line }];
    }),
  );
}
