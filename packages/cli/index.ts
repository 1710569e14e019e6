export { commands } from './commands.ts';
export { exitCodes, type Command } from './command.ts';
