import { expect, it } from 'vitest';
import { anId } from '@linstock/testkit';
import { AgentLines } from './agent-lines.ts';

const boot = anId('boot');
const nowhere = async () => ({ is: 'serial', path: '/nonexistent/agent.sock' }) as const;

/** Tries follow each other without a pause; `tries` counts them. */
function lines(): { lines: AgentLines; tries(): number } {
  let tries = 0;
  const sleep = async (): Promise<void> => {
    tries += 1;
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { lines: new AgentLines({ changed: () => undefined, sleep }), tries: () => tries };
}

it('says why there is no line, and goes on trying', async () => {
  const { lines: agents, tries } = lines();
  expect(agents.get(boot, nowhere)).toEqual({ is: 'absent', why: 'it has not answered yet' });
  while (tries() < 3) await new Promise((resolve) => setImmediate(resolve));
  expect(agents.get(boot, nowhere)).toMatchObject({ is: 'absent', why: expect.stringContaining('no-socket') });
  agents.closeAll();
});

it('ends the wait for a line that is closed, and does not open it again', async () => {
  const { lines: agents, tries } = lines();
  const waiting = agents.wait(boot, nowhere, AbortSignal.timeout(20_000));
  agents.close(boot);
  expect(await waiting).toEqual({ is: 'absent', why: 'its VMM was ended' });
  const after = tries();
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(tries()).toBeLessThanOrEqual(after + 1);
});

it('ends the wait when the signal fires', async () => {
  const { lines: agents } = lines();
  expect(await agents.wait(boot, nowhere, AbortSignal.abort())).toMatchObject({ is: 'absent' });
  agents.closeAll();
});
