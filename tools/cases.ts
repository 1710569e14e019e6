/** Prints how the diagnosis does on folders of cases: `node tools/cases.ts [--wrong] FOLDER…`. The README shows the table. */
import { basename } from 'node:path';
import { diagnose } from '@linstock/core/diagnosis';
import { readCases, scoreOf, type Score } from '@linstock/testkit/cases';

const args = process.argv.slice(2);
const folders = args.filter((a) => !a.startsWith('--'));
const columns: readonly Score[] = ['right', 'right, not first', 'unknown', 'wrong'];
console.log(`| cases | number | ${columns.join(' | ')} |`);
console.log(`|---|---|${columns.map(() => '---|').join('')}`);
const off: string[] = [];
for (const folder of folders.length > 0 ? folders : ['test/cases']) {
  const cases = readCases(folder);
  const counts = new Map<Score, number>();
  for (const c of cases) {
    const diagnosis = diagnose(c.documents);
    const score = scoreOf(c, diagnosis);
    counts.set(score, (counts.get(score) ?? 0) + 1);
    if (score !== 'right')
      off.push(`${score}: ${c.name}: ${c.verdicts[0]}, and not ${diagnosis.outcome} ${diagnosis.causes.map((x) => x.code).join(' ')}`);
  }
  console.log(`| ${basename(folder)} | ${cases.length} | ${columns.map((s) => counts.get(s) ?? 0).join(' | ')} |`);
}
if (args.includes('--wrong') && off.length > 0) console.log(`\n${off.join('\n')}`);
