/** By which device the kernel would send to an address: `ip -json route get`. */
import type { Sight } from '@linstock/core';
import { quote } from './quote.ts';
import { isAddress, runTool } from './tool.ts';
import type { LookOptions, Vantage } from './tool.ts';

/** Stands for a device when the kernel knows no way at all: the brackets keep it apart from any name of ours. */
export const NO_DEVICE = '(none)';

export async function lookRoute(target: { address: string } & Pick<Vantage, 'netns'>, opts: LookOptions): Promise<Sight['route']> {
  if (!isAddress(target.address)) return null;
  const result = await runTool(['ip', '-json', 'route', 'get', target.address], target, opts);
  if (result.spawnError !== null || result.timedOut || result.aborted) return null;
  // ip: 2 = the kernel said no. That is an answer: there is no way there.
  if (result.code === 2) return { device: NO_DEVICE, text: `route to ${target.address}: none (${quote(result.stderr.trim())})` };
  const route = result.code === 0 ? parseRoute(result.stdout) : null;
  if (route === null) return null;
  const words = [
    `dev ${quote(route.device, 20)}`,
    ...(route.gateway === null ? [] : [`via ${quote(route.gateway, 45)}`]),
    ...(route.source === null ? [] : [`src ${quote(route.source, 45)}`]),
  ];
  return { device: route.device, text: `route to ${target.address}: ${words.join(' ')}` };
}

/** null when it is not what `ip` prints. Never throws. */
export function parseRoute(output: string): { device: string; gateway: string | null; source: string | null } | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(output);
  } catch {
    // Not JSON (an old iproute2 without -json): the caller learns "not looked", which is what happened.
    return null;
  }
  const first: unknown = Array.isArray(parsed) ? parsed[0] : null;
  if (typeof first !== 'object' || first === null) return null;
  const text = (name: string): string | null => {
    const value: unknown = Object.entries(first).find(([key]) => key === name)?.[1];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const device = text('dev');
  return device === null ? null : { device, gateway: text('gateway'), source: text('prefsrc') };
}
