/** The only reader of the environment in the CLI. */
import { join, resolve } from 'node:path';

export type Environment = {
  /** the clone this file stands in */
  clone: string;
  stateFolder: string;
  /** folders to look for programs in; the sbin ones too, which an ordinary user's PATH often lacks */
  programFolders: readonly string[];
  /** the NO_COLOR convention: any value but the empty one */
  noColor: boolean;
  dumbTerminal: boolean;
  /** how the front door was called, for advice that can be copied */
  self: string;
  /** all of it, for the controller, which reads its own settings */
  variables: Readonly<Record<string, string | undefined>>;
};

export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const clone = resolve(import.meta.dirname, '../..');
  const { LINSTOCK_SELF: self, ...variables } = env; // the front door's word to the CLI; the controller refuses names it does not know
  const given = (env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return {
    clone,
    stateFolder: resolve(env['LINSTOCK_STATE'] || join(clone, '.linstock', 'state')),
    programFolders: [...new Set([...given, '/usr/local/sbin', '/usr/sbin', '/sbin'])],
    noColor: (env['NO_COLOR'] ?? '') !== '',
    dumbTerminal: env['TERM'] === 'dumb',
    self: self || 'linstock',
    variables,
  };
}
