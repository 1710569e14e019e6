/**
 * What dhcpcd does to the guest's interface when it runs as a service on all of them. Pure. Source: dhcpcd.conf(5).
 * Where no DHCP server answers it gives itself a link-local address (169.254…) and puts a default route that leads nowhere in the place of the
 * one from ip= (seen with dhcpcd 9.4.1, half a minute after its start).
 */
import type { LintContext } from '../context.ts';
import { tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { matchesGlob } from './glob.ts';

/** `spares`: it is told to leave the interface alone. `asks`: it asks by DHCP, and takes a link-local address for want of an answer. */
export function dhcpcdOf(view: ImageView, { interfaceName }: LintContext): 'spares' | 'asks' | 'unknown' {
  const lines = tellingLines(textOf(view, '/etc/dhcpcd.conf') ?? '').map(({ text }) => text.split(/\s+/));
  const named = (key: string): string[] => lines.filter(([first]) => first === key).flatMap(([, ...rest]) => rest);
  const fits = (patterns: readonly string[]): boolean => patterns.some((pattern) => matchesGlob(pattern, interfaceName));
  const allowed = named('allowinterfaces');
  if (fits(named('denyinterfaces')) || (allowed.length > 0 && !fits(allowed))) return 'spares';
  const other = ['static', 'inform', 'noipv4ll', 'noipv4', 'nodhcp', 'nogateway', 'profile', 'fallback'];
  return lines.some(([first = '']) => other.includes(first)) ? 'unknown' : 'asks';
}
