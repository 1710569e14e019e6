import { expect, test } from 'vitest';
import { EventCutter, LineCutter, LineTooLong } from './frames.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('lines are the same wherever the chunks are cut, inside a character too', () => {
  const whole = bytes('{"a":"ä€𝄞"}\r\n\n{"b":2}\nrest');
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const cutter = new LineCutter();
    const lines = [...cutter.push(whole.subarray(0, cut)), ...cutter.push(whole.subarray(cut))];
    expect(lines).toEqual(['{"a":"ä€𝄞"}', '', '{"b":2}']);
    expect(cutter.rest()).toBe('rest');
  }
});

test('a line without an end is not held for ever', () => {
  const cutter = new LineCutter();
  const chunk = bytes('x'.repeat(1024 * 1024));
  expect(() => {
    for (let i = 0; i < 5; i += 1) cutter.push(chunk);
  }).toThrow(LineTooLong);
});

test('server-sent events: several data lines, comments, no space, ids that outlive a block', () => {
  const cutter = new EventCutter();
  const events = [': hello', 'id: 7', 'event: vm.phase', 'data: {"a":', 'data:1}', '', 'id: 9', '', 'data: x', '']
    .map((line) => cutter.line(line))
    .filter((event) => event !== null);
  expect(events).toEqual([
    { id: '7', type: 'vm.phase', data: '{"a":\n1}' },
    { id: '9', type: 'message', data: 'x' },
  ]);
  expect(cutter.lastId).toBe('9');
});
