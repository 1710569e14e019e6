/** Shell patterns: `*`, `?`, `[a-z]`, `[!a]`, as fnmatch(3) without flags. In time of pattern × text, whatever the pattern is. */
export function matchesGlob(pattern: string, text: string): boolean {
  const parts = partsOf(pattern);
  // The one place to come back to: the last star takes one letter more. Stars before it never need to.
  let part = 0;
  let at = 0;
  let starPart = -1;
  let starAt = 0;
  while (at < text.length) {
    const one = parts[part];
    if (one === '*') {
      starPart = part++;
      starAt = at;
    } else if (one !== undefined && one(text.charAt(at))) {
      part++;
      at++;
    } else if (starPart >= 0) {
      part = starPart + 1;
      at = ++starAt;
    } else return false;
  }
  return parts.slice(part).every((one) => one === '*');
}

type Part = '*' | ((letter: string) => boolean);

function partsOf(pattern: string): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length;) {
    const letter = pattern.charAt(at);
    const set = letter === '[' ? /^\[([!^]?)(\]?[^\]]*)\]/.exec(pattern.slice(at, at + 256)) : null;
    if (set !== null) {
      const [whole, not, letters = ''] = set;
      parts.push((one) => inSet(letters, one) === (not === ''));
      at += whole.length;
      continue;
    }
    const literal = letter === '\\' && at + 1 < pattern.length ? pattern.charAt(++at) : letter;
    if (letter === '*') parts.push('*');
    else if (letter === '?') parts.push(() => true);
    else parts.push((one) => one === literal);
    at++;
  }
  return parts;
}

function inSet(letters: string, one: string): boolean {
  for (let at = 0; at < letters.length; at++) {
    const to = letters.charAt(at + 1) === '-' ? letters.charAt(at + 2) : '';
    if (to === '') {
      if (letters.charAt(at) === one) return true;
    } else {
      if (one >= letters.charAt(at) && one <= to) return true;
      at += 2;
    }
  }
  return false;
}
