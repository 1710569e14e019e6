/** Pure: what `vm create` reads out of its arguments. Rules about boot arguments are the server's; here is only the form. */
import { portLevelSchema, type PromisedPort, type VmSpecInput } from '@linstock/contract';
import { UsageError } from './command.ts';

const levels = portLevelSchema.options;

/** `6080`, `6080:http`, `6080:http:/vnc.html` */
export function portOf(text: string): PromisedPort {
  const match = /^(\d{1,5})(?::([a-z]+)(?::(\/.*))?)?$/.exec(text);
  const port = Number(match?.[1]);
  const level = levels.find((one) => one === (match?.[2] ?? 'tcp'));
  if (match === null || level === undefined || port < 1 || port > 65_535) {
    throw new UsageError(
      `--port ${text}: it is N, N:LEVEL or N:LEVEL:/PATH with a port from 1 to 65535 and a level of ${levels.join(', ')}`,
    );
  }
  return { port, level, ...(match[3] === undefined ? {} : { path: match[3] }) };
}

/** One token of the kernel's command line. A space would make two of it. */
export function tokenOf(option: string, text: string): string {
  if (text === '' || /\s/.test(text))
    throw new UsageError(`${option} "${text}": one boot argument without spaces, KEY or KEY=VALUE; repeat the option for more`);
  return text;
}

export type CreateWords = {
  name?: string | undefined;
  golden?: string | undefined;
  memory?: number | undefined;
  vcpus?: number | undefined;
  network?: string | undefined;
  vmm?: string | undefined;
  /** as it stands in the file */
  firecracker?: unknown;
  arg: readonly string[];
  replaceArg: readonly string[];
  removeArg: readonly string[];
  port: readonly string[];
  start: boolean;
};

/** The body of vm.create. What was not said is left out: the server knows the defaults. */
export function specOf(words: CreateWords): VmSpecInput {
  const add = words.arg.map((text) => tokenOf('--arg', text));
  const replace = words.replaceArg.map((text) => tokenOf('--replace-arg', text));
  const remove = words.removeArg.map((text) => tokenOf('--remove-arg', text));
  return {
    ...(words.name === undefined ? {} : { name: words.name }),
    ...(words.golden === undefined ? {} : { golden: words.golden }),
    ...(words.memory === undefined ? {} : { memoryMiB: words.memory }),
    ...(words.vcpus === undefined ? {} : { vcpus: words.vcpus }),
    ...(words.network === undefined ? {} : { network: words.network }),
    ...(words.vmm === undefined ? {} : { vmm: words.vmm }),
    ...(words.firecracker === undefined ? {} : { firecracker: words.firecracker as VmSpecInput['firecracker'] }),
    ...(add.length + replace.length + remove.length === 0 ? {} : { bootArgs: { add, replace, remove } }),
    ...(words.port.length === 0 ? {} : { ports: words.port.map(portOf) }),
    ...(words.start ? {} : { start: false }),
  };
}
