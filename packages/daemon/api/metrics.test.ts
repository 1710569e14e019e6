import { expect, it } from 'vitest';
import { prometheusText } from './metrics.ts';

it("gauges in Prometheus' text format, whatever a label holds", () => {
  expect(
    prometheusText([
      { name: 'linstock_cases_open', help: 'Open cases.', label: 'code', values: { 'boot.a': 2, 'b"\\\n': 1 } },
      { name: 'linstock_vms', help: 'VMs.', label: 'state', values: {} },
    ]),
  ).toBe(
    '# HELP linstock_cases_open Open cases.\n# TYPE linstock_cases_open gauge\nlinstock_cases_open{code="boot.a"} 2\n' +
      'linstock_cases_open{code="b\\"\\\\\\n"} 1\n# HELP linstock_vms VMs.\n# TYPE linstock_vms gauge\n',
  );
});
