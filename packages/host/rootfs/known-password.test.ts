import fc from 'fast-check';
import { expect, test } from 'vitest';
import { knownPassword } from './known-password.ts';

/** Made by crypt(3) of libxcrypt 4.4. */
test.each([
  ['$6$abcdefgh$hEHJCSqyNGISD5ir9k725MA80Nt8ygDruqp/Agk3yTj6ApoajAxcPht9xoaDMO2.mjiDimXcD6z3anRFYBXz40', 'toor'],
  ['$6$rounds=1500$saltstring$pspQA.ZdSdu/i0//y5L2GYRsByQjY6t3547nlW2t6o637odLzQ0KJ.V2G0RD7rlRMf6O5XW9DQgvob1GkiID//', 'toor'],
  ['$5$saltstring$OH4IDuTlsuTYPdED1gsuiRMyTAwNlRWyA6Xr3I4/dQ5', 'password'],
  ['$5$rounds=9000$0123456789abcdef$5fBh0bonpQi6P928cqttGn8dT3j43ENojTtcPyHhoV8', 'firecracker'],
  ['$1$abcd$SsNOuKxTQyKAKbmxUcd/l/', 'admin'],
  ['$1$$IUIMPu9DXc9Qp2QQUqp/Q.', 'vnc'],
])('%s is the word %s', (hash, word) => expect(knownPassword(hash)).toBe(word));

test.each([
  ['a word nobody tries', '$6$xyz$T1TGzb6dXcsxgtPtJ8QgEYFsySJIjZVO.6Khu1306HuXuv/Nk7BOgTSVHhQpZqZCWdKFiK/JcU5W5BSM1yw4U0'],
  [
    'too many rounds to try',
    '$6$rounds=50000$saltstring$2uze5nRaUkJkJBxnDf9TojOzjL1t5.BjOC1rr0hAF5q862Le.gX86BAFmj4O/NAwYdbE9g9VqDq7nBpzX1JI5/',
  ],
  ['yescrypt', '$y$j9T$abcdefghijkl$V61SuMCGPVrwDvq2KIQ627htwu01W.hngyno87DeOZ3'],
  ['a locked account', '!$1$abcd$SsNOuKxTQyKAKbmxUcd/l/'],
  ['no hash', '*'],
])('%s is not known', (_, hash) => expect(knownPassword(hash)).toBeNull());

test('any text is answered', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('', '$1$', '$5$', '$6$rounds=1$a$'), (text, start) => {
      expect(knownPassword(start + text)).toBeNull();
    }),
  );
});
