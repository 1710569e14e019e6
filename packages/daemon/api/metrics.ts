import { stateOf } from '@linstock/core';
import type { Handlers } from './app.ts';
import type { Parts } from './parts.ts';

export type Gauge = { name: string; help: string; label: string; values: Readonly<Record<string, number>> };

/** What a monitoring system asks every few seconds: three counts by one label each, from the store alone. */
export function metricsHandlers({ store }: Parts): Pick<Handlers, 'metrics.show'> {
  return {
    'metrics.show': async () => {
      const { cases, vms, boots } = await store.read(async (tx) => ({
        cases: await tx.openCases(),
        vms: await tx.vms(),
        boots: await tx.bootEnds(),
      }));
      const states: Record<string, number> = {};
      for (const vm of vms) states[stateOf(vm)] = (states[stateOf(vm)] ?? 0) + 1;
      const text = prometheusText([
        { name: 'linstock_cases_open', help: 'Open cases by the code of their cause.', label: 'code', values: cases },
        { name: 'linstock_vms', help: 'VMs that are not deleted, by state.', label: 'state', values: states },
        { name: 'linstock_boots_kept', help: 'Boots on record, by why they ended.', label: 'outcome', values: boots },
      ]);
      return { is: 'stream', contentType: 'text/plain; version=0.0.4; charset=utf-8', chunks: only(text) };
    },
  };
}

/** Prometheus' text format 0.0.4. Pure. */
export function prometheusText(gauges: readonly Gauge[]): string {
  const lines = gauges.flatMap(({ name, help, label, values }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...Object.entries(values).map(([value, n]) => `${name}{${label}="${escaped(value)}"} ${n}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

async function* only(text: string): AsyncGenerator<string> {
  yield text;
}
