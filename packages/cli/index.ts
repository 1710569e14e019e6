export { commands } from './commands.ts';
export { exitCodes, type Command } from './command.ts';
export { lookAtHost } from './host-install.ts';
export { missingPackages } from './host-packages.ts';
