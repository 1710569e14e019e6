/**
 * How well-known programs are told where to listen. Pure: the words of a command in, addresses and ports out. Sources: the manual page of each.
 */
import { baseName } from '../view.ts';

/** `address` null: every address. */
export type Endpoint = { address: string | null; port: number };

type Reader = (words: readonly string[]) => Endpoint[];

const ANY: readonly (string | null)[] = ['0.0.0.0', '*', '::', '[::]', ''];

/** `6080`, `127.0.0.1:6080`, `[::1]:6080`, `*:80`, `unix:…` (none). */
export function endpoint(text: string | undefined): Endpoint[] {
  const match = /^(?:(\[[0-9a-fA-F:.]*\]|[^:\s/]*):)?(\d{1,5})$/.exec(text ?? '');
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) return [];
  const address = match[1] ?? null;
  return [{ address: ANY.includes(address) ? null : address, port }];
}

export function isLoopback(address: string | null): boolean {
  return address !== null && /^(?:127\.|localhost$|\[?::1\]?$|ip6-localhost$)/.test(address);
}

/** What follows an option: `-p 80`, `-p80` (one-letter ones), `--port=80`. */
export function optionValue(words: readonly string[], ...names: readonly string[]): string | undefined {
  for (const [index, word] of words.entries()) {
    for (const name of names) {
      if (word === name) return words[index + 1];
      if (name.startsWith('--') && word.startsWith(`${name}=`)) return word.slice(name.length + 1);
      if (/^-\w$/.test(name) && word.startsWith(name) && !word.startsWith('--') && word.length > 2) return word.slice(2).replace(/^=/, '');
    }
  }
  return undefined;
}

/** An address and a port that are two options. */
function hostAndPort(
  words: readonly string[],
  hosts: readonly string[],
  ports: readonly string[],
  usual: { host: string | null; port: number | null },
): Endpoint[] {
  const port = Number(optionValue(words, ...ports) ?? usual.port ?? Number.NaN);
  const host = optionValue(words, ...hosts) ?? usual.host ?? '';
  return Number.isInteger(port) ? endpoint(`${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`) : [];
}

/** Xvnc and its wrappers: display `:1` is port 5901; `-localhost` keeps it to this machine. */
const vnc: Reader = (words) => {
  const display = words.map((word) => /^(?:[\w.-]*)?:(\d{1,2})$/.exec(word)?.[1]).find((number) => number !== undefined);
  const port = Number(optionValue(words, '-rfbport', '--rfbport') ?? (display === undefined ? Number.NaN : 5900 + Number(display)));
  const local = words.some((word, index) => /^--?localhost$/i.test(word) && !/^(?:no|0|off|false)$/i.test(words[index + 1] ?? ''));
  return Number.isInteger(port) ? endpoint(`${local ? '127.0.0.1' : ''}:${port}`) : [];
};

const websockify: Reader = (words) => {
  // websockify [options] [source_addr:]source_port target_addr:target_port
  const values = [
    '--web',
    '--cert',
    '--key',
    '--ssl-version',
    '--ssl-ciphers',
    '--token-plugin',
    '--token-source',
    '--log-file',
    '--record',
    '--wrap-mode',
    '--idle-timeout',
    '--timeout',
    '--auth-plugin',
    '--auth-source',
    '--heartbeat',
    '--file-only',
  ];
  const positional = words.slice(1).filter((word, index, rest) => !word.startsWith('-') && !values.includes(rest[index - 1] ?? ''));
  const listen = optionValue(words, '--listen');
  return listen === undefined ? endpoint(positional[0]) : endpoint(listen);
};

const readers: Readonly<Record<string, Reader>> = {
  websockify,
  'websockify.py': websockify,
  run: (words) => (words[0]?.includes('websockify') === true ? websockify(words) : []),
  novnc_proxy: (words) => endpoint(optionValue(words, '--listen') ?? '6080'),
  'launch.sh': (words) => endpoint(optionValue(words, '--listen') ?? '6080'),
  novnc_server: (words) => endpoint(optionValue(words, '--listen') ?? '6080'),
  httpd: (words) => endpoint(optionValue(words, '-p')),
  Xvnc: vnc,
  Xtigervnc: vnc,
  Xtightvnc: vnc,
  vncserver: vnc,
  tigervncserver: vnc,
  x11vnc: (words) =>
    hostAndPort(words, ['-listen'], ['-rfbport', '-port'], { host: words.includes('-localhost') ? '127.0.0.1' : null, port: 5900 }),
  ttyd: (words) => endpoint(optionValue(words, '-p', '--port') ?? '7681'),
  'code-server': (words) => endpoint(optionValue(words, '--bind-addr') ?? '127.0.0.1:8080'),
  socat: (words) =>
    words.flatMap((word) => {
      const match = /^(?:TCP|TCP4|TCP6)-L(?:ISTEN)?:(\d+)(.*)$/i.exec(word);
      return match === null ? [] : endpoint(`${/,bind=([^,]+)/.exec(match[2] ?? '')?.[1] ?? ''}:${match[1] ?? ''}`);
    }),
  dropbear: (words) => endpoint(optionValue(words, '-p') ?? '22'),
  uvicorn: (words) => hostAndPort(words, ['--host'], ['--port'], { host: '127.0.0.1', port: 8000 }),
  gunicorn: (words) => endpoint(optionValue(words, '-b', '--bind') ?? '127.0.0.1:8000'),
  'redis-server': (words) => hostAndPort(words, ['--bind'], ['--port'], { host: '127.0.0.1', port: 6379 }),
  dockerd: (words) => endpoint(/^tcp:\/\/(.*)$/.exec(optionValue(words, '-H', '--host') ?? '')?.[1]),
};

/** Words that only start the program behind them, and how many words of their own they take. */
const wrappers: Readonly<Record<string, number>> = {
  exec: 0,
  nohup: 0,
  setsid: 0,
  command: 0,
  env: 0,
  sudo: 0,
  nice: 0,
  ionice: 0,
  stdbuf: 0,
  unbuffer: 0,
  'xvfb-run': 0,
  'dbus-run-session': 0,
  tini: 0,
  'dumb-init': 0,
  busybox: 0,
  toybox: 0,
  timeout: 1,
  chroot: 1,
};

/** The program that a command comes down to, as the first word. */
export function unwrapped(words: readonly string[]): readonly string[] {
  let rest = words;
  for (let hops = 0; hops < 8; hops++) {
    const name = baseName(rest[0] ?? '');
    if (name === 'start-stop-daemon') rest = [optionValue(rest, '--startas', '-a', '--exec', '-x') ?? '', ...afterDashes(rest)];
    const own = wrappers[name];
    if (own === undefined) return rest;
    let next = 1;
    while (next < rest.length && ((rest[next] ?? '').startsWith('-') || /^[A-Za-z_]\w*=/.test(rest[next] ?? ''))) next++;
    rest = rest.slice(next + own);
  }
  return rest;
}

function afterDashes(words: readonly string[]): readonly string[] {
  const dashes = words.indexOf('--');
  return dashes < 0 ? [] : words.slice(dashes + 1);
}

/** Where a command will listen, as far as its words show. */
export function endpointsOf(given: readonly string[]): Endpoint[] {
  const words = unwrapped(given);
  const name = baseName(words[0] ?? '');
  const reader = readers[name];
  if (reader !== undefined) return reader(words);
  const script = /^(?:python|node|perl|ruby|bash|sh|ash|dash)[\d.]*$/.test(name)
    ? words.findIndex((word, index) => index > 0 && !word.startsWith('-'))
    : -1;
  const module = optionValue(words, '-m');
  if (module === 'http.server') {
    const port = words.slice(words.indexOf('http.server') + 1).find((word) => /^\d+$/.test(word)) ?? '8000';
    return endpoint(`${optionValue(words, '--bind', '-b') ?? ''}:${port}`);
  }
  if (module === 'websockify') return websockify(words.slice(words.indexOf('websockify')));
  if (script > 0 && readers[baseName(words[script] ?? '')] !== undefined) return endpointsOf(words.slice(script));
  return guessed(words);
}

/** A program nobody knows here: what looks like an address or a port. */
function guessed(words: readonly string[]): Endpoint[] {
  const bound = optionValue(words, '--bind', '--listen', '--bind-addr', '--listen-address', '--http', '--addr', '--address');
  const own = endpoint(bound);
  if (own.length > 0) return own;
  const host = optionValue(words, '--host', '--hostname', '--bind', '--listen', '--address');
  const port = optionValue(words, '--port', '--http-port', '--listen-port', '-p', '-P', '--web-port');
  return endpoint(host === undefined ? port : `${host}:${port ?? ''}`);
}
