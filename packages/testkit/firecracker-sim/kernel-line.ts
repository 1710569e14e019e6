/** The kernel's command line as linux-loader keeps it (cmdline/mod.rs of 0.11.0 and 0.13.2, which 1.9.1 and 1.16.1 are built with). */

/** With the NUL behind it (vmm/src/arch/x86_64/layout.rs CMDLINE_MAX_SIZE). */
export const LONGEST_LINE = 2048;

const separator = ' -- ';

/** Trimmed; what stands behind the first ` -- ` that is not within double quotes is init's. */
export function splitLine(given: string): { boot: string; init: string } {
  for (let cut = given.indexOf(separator); cut !== -1; cut = given.indexOf(separator, cut + 1)) {
    const quotes = given.slice(0, cut).split('"').length - 1;
    if (quotes % 2 === 0) return { boot: given.slice(0, cut).trim(), init: given.slice(cut + separator.length).trim() };
  }
  return { boot: given.trim(), init: '' };
}

export function joinLine({ boot, init }: { boot: string; init: string }): string {
  return init === '' ? boot : `${boot}${separator}${init}`;
}

/** Of a line that is given only the length counts; what is not ASCII passes. */
export function fits(line: string): boolean {
  return Buffer.byteLength(line) < LONGEST_LINE;
}
