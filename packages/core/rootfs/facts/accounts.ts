/** Accounts of an image and whether one may log in over ssh with a password. Pure. Source: passwd(5), shadow(5), sshd_config(5). */
import { namesIn, tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';

export type Account = {
  name: string;
  uid: number;
  shell: string;
  /** as in shadow, or in passwd when it stands there: '' is no password, what crypt cannot make is a locked account */
  hash: string;
  path: string;
  line: number;
};
export type Ssh = {
  /** PermitRootLogin: what counts of it; null: the built-in `prohibit-password` */
  rootLogin: string | null;
  passwords: boolean;
  emptyPasswords: boolean;
  /** where PermitRootLogin stands */
  path: string;
  line: number | null;
};

const SHADOW = '/etc/shadow';
const PASSWD = '/etc/passwd';

export function accountsOf(view: ImageView): Account[] {
  const shadow = new Map(
    tellingLines(textOf(view, SHADOW) ?? '').map(({ text, line }) => [text.split(':')[0] ?? '', { fields: text.split(':'), line }]),
  );
  return tellingLines(textOf(view, PASSWD) ?? '').flatMap(({ text, line }) => {
    const [name = '', password = '', uid = '', , , , shell = ''] = text.split(':');
    if (name === '' || !/^\d+$/.test(uid)) return [];
    const kept = password === 'x' ? shadow.get(name) : undefined;
    // `x` without a line in shadow: nobody can log in with a password.
    const hash = kept?.fields[1] ?? (password === 'x' ? '*' : password);
    return [{ name, uid: Number(uid), shell, hash, path: kept === undefined ? PASSWD : SHADOW, line: kept?.line ?? line }];
  });
}

/** A shell that lets somebody work. */
export function canLogIn(account: Account): boolean {
  return !/(?:nologin|false|sync|halt|shutdown)$/.test(account.shell);
}

/** `*`, `!`, `!!`, and hashes behind a `!`. */
export function isLocked(account: Account): boolean {
  return /^[!*]/.test(account.hash) || account.hash === 'x';
}

/** The first value of a keyword counts; drop-ins come before the rest where the file includes them at its top, as distributions ship it. */
export function sshOf(view: ImageView): Ssh {
  const main = '/etc/ssh/sshd_config';
  const dropIns = namesIn(view, '/etc/ssh/sshd_config.d')
    .filter((name) => name.endsWith('.conf'))
    .map((name) => `/etc/ssh/sshd_config.d/${name}`);
  const includes = /^\s*Include\s/im.test(textOf(view, main) ?? '');
  const words = [...(includes ? dropIns : []), main].flatMap((path) => {
    const lines = tellingLines(textOf(view, path) ?? '').map((one) => ({ ...one, path, words: one.text.split(/[\s=]+/) }));
    const match = lines.findIndex((one) => one.words[0]?.toLowerCase() === 'match');
    return match < 0 ? lines : lines.slice(0, match); // what stands behind Match holds for some only
  });
  const first = (key: string): { value: string; path: string; line: number } | null => {
    const found = words.find((one) => one.words[0]?.toLowerCase() === key);
    return found === undefined ? null : { value: (found.words[1] ?? '').toLowerCase(), path: found.path, line: found.line };
  };
  const root = first('permitrootlogin');
  return {
    rootLogin: root?.value ?? null,
    passwords: first('passwordauthentication')?.value !== 'no',
    emptyPasswords: first('permitemptypasswords')?.value === 'yes',
    path: root?.path ?? main,
    line: root?.line ?? null,
  };
}
