/** Promised ports against what the image will start. */
import { baseName } from '../view.ts';
import type { Listener, Speech } from '../facts/listeners.ts';
import type { ImageFacts } from '../facts/facts.ts';
import type { Rule, Spot } from './rule.ts';

/** The number by itself: not a part of another one, nor of a version. */
function names(speech: Speech, port: number): boolean {
  return new RegExp(`(?<![\\d.])${port}(?![\\d]|\\.\\d)`).test(speech.text);
}

type About = { started: Listener[]; idle: Listener[]; startedSpeech: Speech | undefined; idleSpeech: Speech | undefined };

function about({ listening }: ImageFacts, port: number): About {
  const own = listening.listeners.filter((one) => one.port === port);
  const speeches = listening.speeches.filter((one) => names(one, port));
  return {
    started: own.filter(({ started }) => started),
    idle: own.filter(({ started }) => !started),
    startedSpeech: speeches.find(({ started }) => started),
    idleSpeech: speeches.find(({ started }) => !started),
  };
}

export const portsRules: readonly Rule[] = [
  {
    id: 'ports.loopback-only',
    severity: 'error',
    finds: 'what serves a promised port listens on the loopback address only',
    why: 'Connections from outside are refused, exactly as if the service were down; inside the guest it works.',
    fix: 'Listen on 0.0.0.0.',
    predicts: 'Started …, and the port refuses (ECONNREFUSED); in the guest ss -ltn shows 127.0.0.1',
    refutes: 'port.N',
    look: (facts, { ports }) =>
      ports.flatMap((port): Spot[] => {
        const { started } = about(facts, port);
        const first = started[0];
        if (first === undefined || !started.every(({ loopback }) => loopback)) return [];
        return [
          {
            path: first.path,
            line: first.line,
            what: `${first.name} listens on ${first.address ?? ''}:${port}, which no other machine reaches.`,
          },
        ];
      }),
  },
  {
    id: 'ports.not-started',
    severity: 'error',
    finds: 'what would serve a promised port is in the image and is not started',
    why: 'It is not enabled, masked, or nothing that the boot reaches asks for it.',
    fix: 'Enable it: systemctl --root=FOLDER enable UNIT, or link it into /etc/systemd/system/multi-user.target.wants.',
    predicts: 'The port refuses (ECONNREFUSED), and the console never names the service',
    refutes: 'port.N',
    look: (facts, { ports }) =>
      ports.flatMap((port): Spot[] => {
        const { started, startedSpeech, idle, idleSpeech } = about(facts, port);
        const one = idle[0] ?? idleSpeech;
        if (started.length > 0 || startedSpeech !== undefined || one === undefined) return [];
        const line = idle[0]?.line ?? null;
        return [
          {
            path: one.path,
            line,
            what: `${baseName(one.name)} would serve port ${port}, and it is ${one.masked ? 'masked' : 'not started by the boot'}.`,
          },
        ];
      }),
  },
  {
    id: 'ports.nobody',
    severity: 'warning',
    finds: 'nothing that the boot starts names a promised port',
    why: 'Its number stands in no unit, script, inittab or server configuration that is started. A program may know it by itself: then this is to be passed over.',
    fix: 'Install and enable the service, or do not promise the port.',
    predicts: 'The port refuses (ECONNREFUSED)',
    refutes: 'port.N',
    look: (facts, { ports }) =>
      ports.flatMap((port): Spot[] => {
        const { started, startedSpeech, idle, idleSpeech } = about(facts, port);
        const known = started.length > 0 || startedSpeech !== undefined || idle.length > 0 || idleSpeech !== undefined;
        return known ? [] : [{ path: null, what: `Nothing that starts names port ${port}.` }];
      }),
  },
];
