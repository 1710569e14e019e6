/**
 * The simulated firecracker, and the simulated jailer, as a program:
 *
 *   node main.ts [--sim-program jailer] --sim-version 1.16.1 [--sim-fate NAME[=ARGUMENT]]… [--sim-vsock PORT=echo|SOCKET]… [arguments of theirs]
 *
 * `--sim-vsock` says what the guest serves at a vsock port; the jailer adds `--sim-root FOLDER` (jail-paths.ts). Every argument without `--sim-` belongs to the program that is simulated.
 */
import { enableCompileCache } from 'node:module';

// Stripping the types of two dozen files is most of the time of a start; with the cache it is done once.
enableCompileCache();
const { start } = await import('./start.ts');
await start(process.argv.slice(2));
