/** What all guests made from one image would share. */
import type { Rule } from './rule.ts';

export const clonesRules: readonly Rule[] = [
  {
    id: 'clones.machine-id',
    severity: 'warning',
    finds: 'a machine id is in the image',
    why: 'Every guest made from it has the same: DHCP servers see one client, journals and monitoring mix their machines up.',
    fix: 'Empty the file: truncate -s 0 /etc/machine-id (empty, not absent: absence also means first boot). Link /var/lib/dbus/machine-id to it.',
    predicts: 'The line "Initializing machine ID" is missing from the console',
    refutes: null,
    look: ({ identity }) => identity.machineIds.map((path) => ({ path, line: 1, what: 'It holds an id, the same for every guest.' })),
  },
  {
    id: 'clones.host-keys',
    severity: 'warning',
    finds: 'private host keys of an ssh server are in the image',
    why: 'Every guest proves to be the same host, and whoever has the image can play any of them.',
    fix: 'Delete the keys and let the first boot make them (ssh-keygen -A before sshd starts; dropbear -R).',
    predicts: 'Nothing at the boot: ssh-keyscan shows the same key for each guest',
    refutes: null,
    look: ({ identity }) => identity.hostKeys.map((path) => ({ path, what: 'It is a private key, the same for every guest.' })),
  },
  {
    id: 'clones.random-seed',
    severity: 'note',
    finds: 'a saved random seed is in the image',
    why: 'Every guest mixes the same bytes in. Linux does not count them as entropy by default, so this is untidy and not dangerous where the guest has virtio-rng.',
    fix: 'Delete the file.',
    predicts: 'Nothing at the boot',
    refutes: null,
    look: ({ identity }) => identity.seeds.map((path) => ({ path, what: 'It is a saved seed, the same for every guest.' })),
  },
];
