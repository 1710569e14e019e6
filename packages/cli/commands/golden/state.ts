import type { GoldenState } from '@linstock/contract';
import type { Paint } from '../../render.ts';

const paints: Record<GoldenState, Paint> = { draft: 'dim', verifying: 'yellow', active: 'green', failed: 'red', deleted: 'dim' };

export function stateCell(state: GoldenState): { text: string; paint: Paint } {
  return { text: state, paint: paints[state] };
}
