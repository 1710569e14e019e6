/** Who can log in without being asked for a secret, or with one that everybody knows. */
import { canLogIn, isLocked } from '../facts/accounts.ts';
import type { Rule } from './rule.ts';

export const accessRules: readonly Rule[] = [
  {
    id: 'access.no-password',
    severity: 'warning',
    finds: 'an account that may log in has an empty password',
    why: 'Whoever reaches a console, or su, is that user without being asked.',
    fix: 'Lock it with passwd -l, or set a password; for a console of your own use an autologin of getty, which is explicit.',
    predicts: 'Nothing at the boot: login asks for no password',
    refutes: null,
    look: ({ accounts, ssh, started }) =>
      accounts
        .filter((account) => account.hash === '' && canLogIn(account))
        .map(({ name, path, line }) => ({
          path,
          line,
          what: `The account ${name} has no password.`,
          severity: ssh.emptyPasswords && started.sshd ? ('error' as const) : ('warning' as const),
        })),
  },
  {
    id: 'access.known-password',
    severity: 'error',
    finds: 'an account that may log in has one of the passwords that everybody tries',
    why: 'It is tried within minutes on every machine that answers ssh.',
    fix: 'Lock it with passwd -l and use keys, or set a password of each guest.',
    predicts: 'Nothing at the boot',
    refutes: null,
    look: ({ accounts, guessed }) =>
      accounts.flatMap((account) => {
        const word = canLogIn(account) && !isLocked(account) ? guessed.get(account.name) : undefined;
        return word === undefined
          ? []
          : [{ path: account.path, line: account.line, what: `The password of ${account.name} is the word "${word}".` }];
      }),
  },
  {
    id: 'access.root-over-ssh',
    severity: 'warning',
    finds: 'root has a password and may use it over ssh',
    why: 'Every machine on the network of the guest can try passwords of root; all guests of the image have the same.',
    fix: 'Write PermitRootLogin prohibit-password into /etc/ssh/sshd_config.',
    predicts: 'Nothing at the boot',
    refutes: null,
    look: ({ accounts, ssh, started }) => {
      const root = accounts.find(({ uid }) => uid === 0);
      const open = ssh.rootLogin === 'yes' && ssh.passwords && started.sshd;
      return open && root !== undefined && root.hash !== '' && !isLocked(root)
        ? [{ path: ssh.path, line: ssh.line, what: 'sshd lets root in with the password that is in the image.' }]
        : [];
    },
  },
];
