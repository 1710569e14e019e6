import type { Network } from '@linstock/contract';
import { expect, test } from 'vitest';
import { normalListing, parseTableName, renderNoRules, renderRules, tableName } from './rules.ts';

const network: Network = {
  id: 'net_1',
  index: 0,
  name: 'default',
  kind: 'bridge',
  subnet: '192.168.100.0/29',
  gateway: '192.168.100.1',
  bridge: 'ls7a3f-br0',
  egress: true,
  isolated: true,
};

// A reviewer reads these files; `npx vitest run packages/host/network/rules -u` writes them anew.
test.each([
  ['isolated-egress', { egress: true, isolated: true }],
  ['isolated-closed', { egress: false, isolated: true }],
  ['open-egress', { egress: true, isolated: false }],
  ['open-closed', { egress: false, isolated: false }],
])('the rules of a network: %s', async (name, choice) => {
  await expect(renderRules('7a3f', { ...network, ...choice })).toMatchFileSnapshot(`golden/${name}.nft`);
});

test('the rules name every slot of the subnet and no other', () => {
  const text = renderRules('7a3f', network);
  expect(text.match(/"ls7a3f-0-\d+" \. 02:fc:[0-9a-f:]+ \. [\d.]+/g)).toEqual([
    '"ls7a3f-0-0" . 02:fc:c0:a8:64:02 . 192.168.100.2',
    '"ls7a3f-0-1" . 02:fc:c0:a8:64:03 . 192.168.100.3',
    '"ls7a3f-0-2" . 02:fc:c0:a8:64:04 . 192.168.100.4',
    '"ls7a3f-0-3" . 02:fc:c0:a8:64:05 . 192.168.100.5',
    '"ls7a3f-0-4" . 02:fc:c0:a8:64:06 . 192.168.100.6',
  ]);
});

test('removing rules names only our tables', () => {
  expect(
    renderNoRules('7a3f', [0, 12])
      .split('\n')
      .filter((line) => line.startsWith('delete')),
  ).toEqual(['delete table bridge ls7a3f-0', 'delete table ip ls7a3f-0', 'delete table bridge ls7a3f-12', 'delete table ip ls7a3f-12']);
});

test.each([
  ['ls7a3f-0', 0],
  ['ls7a3f-12', 12],
  ['ls7a3f-0-1', null],
  ['ls7a3f-br0', null],
  ['ls7a3-0', null],
  ['filter', null],
])('table %s belongs to network %s', (name, index) => {
  expect(parseTableName('7a3f', name)).toBe(index);
  if (index !== null) expect(tableName('7a3f', index)).toBe(name);
});

test('listings are equal however they are laid out, and differ by a word', () => {
  expect(normalListing('elements = { a,\n b }')).toBe(normalListing('elements = { b, a }'));
  expect(normalListing('chain x { drop }')).not.toBe(normalListing('chain x { accept }'));
});
