import type { Scenario } from './scenario.ts';
import { boot } from './scenarios/boot.ts';
import { guestNetwork } from './scenarios/guest-network.ts';
import { healthy } from './scenarios/healthy.ts';
import { hostNetwork } from './scenarios/host-network.ts';
import { kernels } from './scenarios/kernels.ts';
import { service } from './scenarios/service.ts';
import { vmm } from './scenarios/vmm.ts';

export const scenarios: readonly Scenario[] = [...healthy, ...hostNetwork, ...guestNetwork, ...service, ...boot, ...vmm, ...kernels];
