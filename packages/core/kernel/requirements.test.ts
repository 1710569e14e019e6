import { expect, test } from 'vitest';
import { known } from '../versions.ts';
import { optionsOf } from './check.ts';
import { noParts } from './no-parts.ts';
import { existsIn, optionFacts, whyAbsent } from './option-facts.ts';
import { askable, requirements } from './requirements.ts';

test('every option in a table is one whose facts are known', () => {
  const named = [
    ...requirements.flatMap(({ need }) => optionsOf(need)),
    ...noParts.map(({ option }) => option),
    ...Object.values(optionFacts).flatMap(({ needs }) => needs),
  ];
  expect([...new Set(named)].filter((option) => !Object.hasOwn(optionFacts, option))).toEqual([]);
});

test('what can be asked for and what requirements ask about are the same', () => {
  const asked = requirements.flatMap(({ when }) => [...(when.asked === undefined ? [] : [when.asked]), ...(when.unless ?? [])]);
  expect([...new Set(asked)].toSorted()).toEqual(Object.keys(askable).toSorted());
});

test('no requirement stands twice for one target', () => {
  const keys = requirements.map(({ id, when }) => `${id} ${when.vmm ?? '*'} ${when.transport ?? '*'} ${when.asked ?? '*'}`);
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
});

test('nothing that plays no part is required where it plays none', () => {
  for (const { option, transport } of noParts) {
    const asking = requirements.filter(
      ({ need, when, level }) =>
        level === 'required' &&
        // an alternative that can be done without is no demand
        !(typeof need === 'object' && 'any' in need) &&
        optionsOf(need).includes(option) &&
        (when.transport ?? transport ?? '*') === (transport ?? when.transport ?? '*'),
    );
    expect(asking.map(({ id }) => `${id} wants ${option}`)).toEqual([]);
  }
});

test.each([
  ['SWIOTLB_DYNAMIC', '6.1.99', false],
  ['SWIOTLB_DYNAMIC', '6.6.0', true],
  ['NFT_COUNTER', '5.15.100', true],
  ['NFT_COUNTER', '5.17.0', false],
  ['PVH', '4.14.300', false],
  ['VMGENID', '5.10.252', null],
  ['VMGENID', '6.1.99', true],
  ['BLK_MQ_PCI', '6.15.0', null],
  ['VIRTIO_NET', '4.14.0', true],
  ['NO_SUCH_OPTION', '6.1.99', null],
] as const)('%s in Linux %s: %s', (option, version, exists) => {
  expect(existsIn(option, known(version))).toBe(exists);
});

test('why there is no such option', () => {
  expect(whyAbsent('SWIOTLB_DYNAMIC', known('6.1.99'))).toBe('Linux before 6.6 has no such option');
  expect(whyAbsent('NFT_COUNTER', known('6.1.99'))).toBe('Linux 5.17 and newer have no such option');
  expect(whyAbsent('RANDOM_TRUST_CPU', known('4.14.1'))).toBe('Linux before 4.19 has no such option');
  expect(whyAbsent('RANDOM_TRUST_CPU', known('6.2.0'))).toBe('Linux 6.2 and newer have no such option');
});
