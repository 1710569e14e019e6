/**
 * Text from a guest, a tool or a file, made safe to show: one line, no escape sequences, no control or direction characters.
 * A hostile guest chooses these bytes; a terminal, a log or a page that shows them must not obey them.
 */

/** More than any line of a kernel; a whole command line fits. */
const mostLength = 2_400;

// Bounded repetitions, so that no input makes matching slow. An unterminated OSC loses only its opening: what follows stays readable.
// eslint-disable-next-line no-control-regex
const escapes =
  /(?:\u001b\[|\u009b)[0-?]{0,64}[ -/]{0,16}[@-~]?|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]{0,512}(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]{0,8}[0-~]?/g;
/** Direction overrides and isolates, invisible characters, line and paragraph separators: they make a text read as another one. */
const invisible = /[\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u206f\u061c\ufeff\ufff9-\ufffb\u00ad]/g;
// eslint-disable-next-line no-control-regex
const blanks = /[\t\n\v\f\r\u0085]+/g;
// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f]/g;
const plain = /^[\x20-\x7e]*$/;

export function cleanText(text: string, limit: number = mostLength): string {
  // what lies far behind the limit cannot show; 8: an escape sequence per shown character is already junk
  const near = text.length > limit * 8 ? text.slice(0, limit * 8) : text;
  let clean = near;
  if (!plain.test(near)) {
    clean = near
      .replaceAll(escapes, '')
      .replaceAll(blanks, ' ')
      .replaceAll(controls, '')
      .replaceAll(invisible, '')
      .toWellFormed()
      .trimEnd();
  }
  if (clean.length <= limit && near.length === text.length) return clean;
  const cut = clean.slice(0, Math.max(0, limit - 1));
  // never half of a surrogate pair
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}
