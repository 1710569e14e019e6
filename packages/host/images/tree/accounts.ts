/** Users of an image: its passwd, group and shadow as text, changed line by line (passwd(5), group(5), shadow(5)). Pure. */
import type { RecipeUser } from '@linstock/contract';

/** Without a shadow passwords stand in passwd. */
export type AccountFiles = { passwd: string; group: string; shadow: string | undefined };

/** The fixed day on which all passwords were changed last: 2024-01-01. */
const CHANGED_ON_DAY = 19_723;
const FIRST_ID = 1_000;
const LAST_ID = 59_999;

export type Account = { name: string; uid: number; gid: number; home: string };

type Rows = string[][];
const rows = (text: string): Rows =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'));
const textOf = (all: Rows): string => all.map((row) => `${row.join(':')}\n`).join('');

/** What is wrong with the wish, or the new files and whose home is to be made. */
export function withUser(
  files: AccountFiles,
  user: RecipeUser,
): { ok: true; files: AccountFiles; account: Account } | { ok: false; say: string } {
  const passwd = rows(files.passwd);
  const group = rows(files.group);
  const shadow = files.shadow === undefined ? undefined : rows(files.shadow);
  const before = passwd.find(([name]) => name === user.name);
  const uid = user.uid ?? idOf(before?.[2]) ?? freeId(passwd, group);
  if (passwd.some(([name, , id]) => name !== user.name && id === String(uid)))
    return { ok: false, say: `the uid ${uid} of user ${user.name} belongs to another user` };
  const own = group.find(([name]) => name === user.name);
  const gid = idOf(before?.[3]) ?? idOf(own?.[2]) ?? uid;
  if (own === undefined && before === undefined) {
    if (group.some(([, , id]) => id === String(gid)))
      return { ok: false, say: `the gid ${gid} of user ${user.name} belongs to another group` };
    group.push([user.name, 'x', String(gid), '']);
  }
  const home = user.home ?? before?.[5] ?? `/home/${user.name}`;
  const row = [user.name, 'x', String(uid), String(gid), before?.[4] ?? '', home, user.shell ?? before?.[6] ?? '/bin/sh'];
  if (before === undefined) passwd.push(row);
  else passwd.splice(passwd.indexOf(before), 1, row);
  for (const name of user.groups) {
    const joined = group.find(([known]) => known === name);
    if (joined === undefined) return { ok: false, say: `user ${user.name} is to be in the group ${name}, which the image does not have` };
    const members = (joined[3] ?? '').split(',').filter((member) => member !== '');
    if (!members.includes(user.name)) joined[3] = [...members, user.name].join(',');
  }
  const secret = { locked: '!', empty: '' }[user.password] ?? user.password;
  if (shadow !== undefined) {
    const known = shadow.find(([name]) => name === user.name);
    const line = [user.name, secret, String(CHANGED_ON_DAY), '0', '99999', '7', '', '', ''];
    if (known === undefined) shadow.push(line);
    else shadow.splice(shadow.indexOf(known), 1, line);
  } else row[1] = secret === '!' ? '*' : secret;
  return {
    ok: true,
    files: { ...files, passwd: textOf(passwd), group: textOf(group), shadow: shadow === undefined ? undefined : textOf(shadow) },
    account: { name: user.name, uid, gid, home },
  };
}

/** Days of the last change of passwords would tell when an image was built. */
export function withFixedDays(shadow: string): string {
  return textOf(rows(shadow).map((row) => row.map((field, index) => (index === 2 && field !== '' ? String(CHANGED_ON_DAY) : field))));
}

/** `name`, `uid`, `name:group`, `uid:gid`, as container images name the user of a program; null when the image knows no such user. */
export function accountNamed(
  files: Pick<AccountFiles, 'passwd' | 'group'>,
  named: string,
): { uid: number; gid: number; home: string; groups: number[] } | null {
  const [userName = '', groupName] = named.split(':');
  const passwd = rows(files.passwd);
  const group = rows(files.group);
  const entry = passwd.find(([name]) => name === userName) ?? passwd.find(([, , id]) => id === userName);
  const uid = idOf(entry?.[2]) ?? idOf(userName);
  const gid =
    groupName === undefined ? (idOf(entry?.[3]) ?? 0) : (idOf(group.find(([name]) => name === groupName)?.[2]) ?? idOf(groupName));
  if (uid === null || gid === null) return null;
  const member = entry?.[0];
  const groups = group.filter((row) => member !== undefined && (row[3] ?? '').split(',').includes(member)).map((row) => idOf(row[2]));
  return { uid, gid, home: entry?.[5] || '/', groups: groups.filter((id) => id !== null) };
}

function idOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= 0xffff_fffe ? Number(text) : null;
}

function freeId(passwd: Rows, group: Rows): number {
  const taken = new Set([...passwd, ...group].map((row) => row[2]));
  for (let id = FIRST_ID; id <= LAST_ID; id += 1) if (!taken.has(String(id))) return id;
  return LAST_ID + 1;
}
