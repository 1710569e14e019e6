import { describe } from 'vitest';
import { testVmm } from '@linstock/testkit/vmm-suite';
import { bench, noCgroups } from '../testing/benches.ts';
import { StubVmm } from './driver.ts';

for (const by of ['cgroup', 'mark'] as const) {
  const missing = by === 'cgroup' && noCgroups();
  describe.skipIf(missing !== false)(`units by ${by}${missing === false ? '' : ` (skipped: ${missing})`}`, () => {
    testVmm('stub', async () =>
      bench({ by, driver: (units) => new StubVmm({ units }), disk: () => {}, bad: { kernel: '', refusal: /is not a kernel/ } }),
    );
  });
}
