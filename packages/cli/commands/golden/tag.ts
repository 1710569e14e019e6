import type { GoldenTag } from '@linstock/contract';
import type { Tools } from '../../command.ts';
import { moment } from '../../render.ts';

export async function tagPage(tools: Tools, tag: GoldenTag): Promise<void> {
  await tools.out.page(tag, [
    ['tag', `${tag.golden}:${tag.tag}`],
    ['version', `${tag.golden}@${tag.version}`],
    ['revision', String(tag.revision)],
    ['moved', `${moment(tag.movedAt)} by ${tag.movedBy}`],
  ]);
}
