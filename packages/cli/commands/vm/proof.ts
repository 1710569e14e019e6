import { command } from '../../command.ts';
import { painted, plain, proofSummary, verdictCell } from '../../render.ts';

export const vmProof = command({
  path: ['vm', 'proof'],
  summary: 'Show each condition of the newest boot: expected, observed, verdict',
  args: { vm: { kind: 'text', doc: 'name or id' } },
  options: { evidence: { kind: 'flag', flag: '--evidence', doc: 'with the evidence of every condition, not only of refuted ones' } },
  async run({ args, options }, tools) {
    const answer = await (await tools.api()).vms.proof(args.vm, { signal: tools.signal });
    const { vm, proof, boot } = answer;
    const { out } = tools;
    if (proof === null && !out.json) {
      out.say(
        boot === null
          ? `${vm.name} was never started, so there is nothing to prove: ${tools.self} vm start ${vm.name} --wait verified`
          : `The boot of ${vm.name} was not examined yet: ${tools.self} vm verify ${vm.name} --wait`,
      );
      return;
    }
    await out.answer(answer, () => {
      if (proof === null) return [];
      const { text, paint } = verdictCell(proof.verified);
      return [
        ...out.proof(proof, { evidence: options.evidence }),
        '',
        `${painted(out.style, paint, text)}: ${proofSummary(proof)}; furthest: ${plain(proof.furthest ?? 'nothing')}; boot ${boot ?? '?'}`,
      ];
    });
  },
});
