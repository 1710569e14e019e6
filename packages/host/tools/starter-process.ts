/** The process behind Starter: starts programs for its parent, and ends with it. */
import { startDetached, type Start } from './detached.ts';
import type { StartOrder, StartReply } from './starter.ts';

const never = new AbortController().signal;
const tell = (reply: StartReply): void => void process.send?.(reply, () => undefined); // a parent that has gone needs no answer

// what a terminal or a service manager tells the whole group is for the parent; when that ends, the channel closes
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined);
process.on('message', (order: StartOrder) => {
  void startDetached(order.argv, { env: order.env, timeoutMs: order.timeoutMs, signal: never }).then((start: Start) =>
    tell({ id: order.id, start }),
  );
});
tell({ id: 0, start: { is: 'closed', words: '' } });
