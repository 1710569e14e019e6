import { portLevelSchema, type EvidenceLine, type PromisedPort } from '@linstock/contract';
import type { Asked } from './asked.ts';
import { agentSays, guestFacts, probeSays, proved, refuted, unknown, type Finding } from './condition.ts';
import type { PortAnswer, Sight } from './sight.ts';

const levels = portLevelSchema.options;
/** An address that only the guest itself can reach. */
const loopbackAddress = /^(?:127\.|::1$|\[::1\])/;

/** What an answer proves, and what to look at for it (the lexicon of docs/proof.md). */
const next: Record<PortAnswer, string> = {
  open: 'What listens there: the connection was accepted and nothing more came.',
  refused:
    'What listens in the guest (ss -ltnp) and on which address: an IP stack answered, and nothing listens on this port for this address.',
  timeout: 'A packet filter in the guest or on the way, then whether the guest still answers ping: frames were accepted and not answered.',
  unreachable: 'net.layer2: nobody answers ARP for the address on the outgoing interface; this is no fault of the service.',
  reset: 'The log of the service: it accepted the connection and dropped it.',
  status: 'The path that the golden image promises, and the log of the service.',
  upgraded: 'What is behind the WebSocket: it was accepted and the next layer did not speak.',
  banner: 'The log of the service.',
  garbage: 'Which program listens on this port: it speaks something else.',
  closed: 'The log of the service and of what is behind it (for noVNC: whether the VNC server runs): it ended the connection.',
};

/** port.N: the port answers up to the level that was promised. */
export function portAnswers(asked: Asked, sight: Sight, promised: PromisedPort): Finding {
  const expected = `port ${promised.port} answers up to ${promised.level}${promised.path === undefined ? '' : ` at ${promised.path}`}`;
  const listening = guestFacts(sight)?.listening ?? null;
  const here = listening?.filter((l) => l.port === promised.port) ?? [];
  const inside: EvidenceLine[] = listening
    ? [
        agentSays(
          sight,
          here.length > 0
            ? here.map((l) => `${l.process ?? 'a process'} listens on ${l.address}:${l.port}`).join(', ')
            : `nothing listens on port ${promised.port}`,
        ),
      ]
    : [];
  const seen = sight.ports.find((p) => p.port === promised.port);
  if (!seen) return unknown(expected, 'not probed', 'Make the proof again: this port was not tried.', inside);
  const wanted = levels.slice(0, levels.indexOf(promised.level) + 1);
  const evidence: EvidenceLine[] = [];
  for (const level of wanted) {
    const step = seen.steps.find((s) => s.level === level);
    if (!step) return unknown(expected, `${level} was not tried`, `Try ${level} on the port by hand.`, [...evidence, ...inside]);
    evidence.push(probeSays(sight, `${level}: ${step.text}`));
    if (!step.ok) {
      const loopback = here.length > 0 && here.every((l) => loopbackAddress.test(l.address));
      const where = loopback
        ? `; in the guest it listens on ${here.map((l) => l.address).join(', ')} only`
        : listening && here.length === 0
          ? '; nothing in the guest listens on it'
          : '';
      return refuted(
        expected,
        `${level}: ${step.answer}${where}`,
        [...evidence, ...inside],
        loopback
          ? 'The address that the service is told to listen on: it must be 0.0.0.0.'
          : where !== ''
            ? 'Whether the service runs: its unit and its log in the guest.'
            : next[step.answer],
      );
    }
  }
  const [first, ...rest] = evidence;
  if (first === undefined) return unknown(expected, 'nothing was tried', 'Make the proof again.', inside);
  // the VMM's own forwarder accepts connections before the guest is up, so an open port of a user-mode network is its word, not the guest's
  if (asked.network.kind === 'user' && promised.level === 'tcp') {
    const outside = here.some((l) => !loopbackAddress.test(l.address));
    if (!outside) {
      return unknown(
        expected,
        'tcp: open, but in a user-mode network the VMM accepts connections whatever the guest does',
        'A level above tcp for this port, or the listening sockets of the guest through the agent.',
        [...evidence, ...inside],
      );
    }
    return proved(expected, 'open, and the guest listens', [first, ...rest, ...inside]);
  }
  return proved(expected, `answers up to ${promised.level}`, [first, ...rest]);
}
