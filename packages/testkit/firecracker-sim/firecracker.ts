/** One simulated Firecracker process: arguments, start, end (firecracker/src/main.rs). Whoever calls `firecracker` gives it this process for good. */
import { existsSync, readFileSync } from 'node:fs';
import { ArgumentError, parseArguments, wrongInstanceId, type Argument, type Arguments } from './arguments.ts';
import type { GuestEnd } from './boot.ts';
import { applyConfig, metadataOf } from './config-file.ts';
import type { Fates } from './fates.ts';
import { MAX_PAYLOAD, type Request, type Response } from './http.ts';
import { at } from './jail-paths.ts';
import { Logger, isLevel } from './logger.ts';
import { Metrics } from './metrics.ts';
import { bindError, osError, standardOutput, type Output } from './output.ts';
import { MainError, Panic, abort, endWell, endWithError, exitCodes } from './process.ts';
import { Refused } from './resources.ts';
import { RequestError, parseRequest } from './requests.ts';
import { ApiServer } from './server.ts';
import { describeSnapshot } from './snapshot.ts';
import { atLeast, has, snapshotFormat, type Since, type SimVersion } from './versions.ts';
import { Vmm } from './vmm.ts';

/** The arguments, and since when there are any that came later. */
export const firecrackerArguments: Readonly<Record<string, Argument & { since?: Since }>> = {
  'api-sock': { value: true },
  id: { value: true },
  'seccomp-filter': { value: true, forbids: 'no-seccomp' },
  'no-seccomp': { value: false, forbids: 'seccomp-filter' },
  'start-time-us': { value: true },
  'start-time-cpu-us': { value: true },
  'parent-cpu-time-us': { value: true },
  'config-file': { value: true },
  metadata: { value: true },
  'no-api': { value: false, requires: 'config-file' },
  'log-path': { value: true },
  level: { value: true },
  module: { value: true },
  'show-level': { value: false },
  'show-log-origin': { value: false },
  'metrics-path': { value: true },
  'boot-timer': { value: false },
  version: { value: false },
  'snapshot-version': { value: false },
  'describe-snapshot': { value: true },
  'http-api-max-payload-size': { value: true },
  'mmds-size-limit': { value: true },
  'enable-pci': { value: false, since: { since: '1.13.0' } },
};

export type SimOptions = { version: SimVersion; fates: Fates; vsockPorts: ReadonlyMap<number, string> };

export async function firecracker(argv: readonly string[], options: SimOptions): Promise<void> {
  const standard = standardOutput();
  const logger = new Logger(standard, atLeast(options.version, '1.14.0'));
  try {
    await run(argv, options, standard, logger);
  } catch (error) {
    if (error instanceof MainError) endWithError(error, logger);
    if (error instanceof Panic) abort(error.message, logger);
    else throw error;
  }
}

async function run(argv: readonly string[], options: SimOptions, standard: Output, logger: Logger): Promise<void> {
  const { version, fates } = options;
  const given = argumentsOf(argv, version);
  const value = (name: string): string | undefined => given.get(name)?.[0];
  if (given.has('help') || given.has('version')) {
    standard.write(`Firecracker v${version}\n\n`);
    if (given.has('help')) standard.write(`${helpText(version)}\n`);
    endWell(logger);
  }
  if (given.has('snapshot-version')) {
    standard.write(`v${snapshotFormat(version)}\n`);
    endWell(logger);
  }
  const described = value('describe-snapshot');
  if (described !== undefined) {
    try {
      standard.write(`v${describeSnapshot(described)}\n`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new MainError(
        `When printing Snapshot Data format: ${error.message}`,
        `PrintSnapshotDataFormat(${JSON.stringify(error.message)})`,
      );
    }
    endWell(logger);
  }
  const id = value('id') ?? 'anonymous-instance';
  const wrong = wrongInstanceId(id);
  if (wrong !== null) throw new Panic(`Invalid instance ID: ${debugOfId(wrong)}`);
  logger.id = id;
  const level = value('level');
  if (level !== undefined && !isLevel(level))
    throw new MainError(
      `Invalid value for logger level: Failed to parse string to level filter: ${level}.Possible values: [Error, Warning, Info, Debug]`,
      `InvalidLogLevel(LevelFilterFromStrError(${JSON.stringify(level)}))`,
      exitCodes.badConfiguration,
    );
  try {
    logger.update({
      log_path: value('log-path') ?? null,
      level: level ?? null,
      show_level: given.has('show-level') ? true : null,
      show_log_origin: given.has('show-log-origin') ? true : null,
      module: value('module') ?? null,
    });
  } catch (error) {
    const why = osError(error);
    throw new MainError(
      `Could not initialize logger: Failed to open target file: ${why}`,
      `LoggerInitialization(LoggerUpdateError(${debugOs(error)}))`,
    );
  }
  logger.say('info', 'main', `Running Firecracker v${version}`);
  const metrics = new Metrics(version);
  const metricsPath = value('metrics-path');
  if (metricsPath !== undefined) {
    try {
      metrics.open(metricsPath);
    } catch (error) {
      const why = osError(error);
      throw new MainError(
        `Could not initialize metrics: Cannot initialize the metrics system due to bad user input: ${why}`,
        `MetricsInitialization(InitializationFailure(${JSON.stringify(why)}))`,
      );
    }
  }
  const filter = value('seccomp-filter');
  if (filter !== undefined && !existsSync(at(filter)))
    throw new MainError(
      'Seccomp error: Filter file open error: No such file or directory (os error 2)',
      'SeccompFilter(FileOpen(Os { code: 2, kind: NotFound, message: "No such file or directory" }))',
    );
  const config = readOrPanic(value('config-file'), 'Unable to open or read from the configuration file');
  const metadata = readOrPanic(value('metadata'), 'Unable to open or read from the mmds content file');
  const maxPayload = sizeOrPanic(value('http-api-max-payload-size'), 'http-api-max-payload-size') ?? MAX_PAYLOAD;
  const vmm = new Vmm({
    version,
    id,
    logger,
    metrics,
    fates,
    standard,
    boot: { pci: given.has('enable-pci'), timer: given.has('boot-timer') },
    mmdsLimit: sizeOrPanic(value('mmds-size-limit'), 'mmds-size-limit') ?? maxPayload,
    vsockPorts: options.vsockPorts,
    ended: (how) => end(vmm, how, !given.has('no-api')),
    ready: () => afterReady(vmm),
  });
  takeSignals(vmm);
  if (fates.has('floods-log')) floodLog(logger);
  const withApi = !given.has('no-api');
  const asked = { waiting: 0 };
  if (withApi) await serve(vmm, { path: value('api-sock') ?? '/run/firecracker.socket', maxPayload, asked, fromConfig: config !== null });
  if (config !== null) await bootFromConfig(vmm, { config, metadata, withApi, asked });
  else if (metadata !== null) vmm.mmds.put(metadataOf(metadata));
  // Nothing else may hold the process: without an API and with a guest that stands still it lives on all the same.
  setInterval(() => vmm.flushMetricsOfTimer(), 60_000);
}

function argumentsOf(argv: readonly string[], version: SimVersion): Arguments['given'] {
  const there = Object.fromEntries(
    Object.entries(firecrackerArguments).filter(([, { since }]) => since === undefined || has(version, since)),
  );
  try {
    return parseArguments(there, argv).given;
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new MainError(
      `Arguments parsing error: ${error.message} \\n\\nFor more information try --help.`,
      `ParseArguments(${error.debug})`,
      exitCodes.argumentParsing,
    );
  }
}

function helpText(version: SimVersion): string {
  const names = Object.entries(firecrackerArguments).filter(([, { since }]) => since === undefined || has(version, since));
  return ['optional arguments:', ...names.map(([name, { value }]) => `  --${name}${value ? ` <${name}>` : ''}`).toSorted()].join('\n');
}

function readOrPanic(path: string | undefined, words: string): string | null {
  if (path === undefined) return null;
  try {
    return readFileSync(at(path), 'utf8');
  } catch (error) {
    throw new Panic(`${words}: ${debugOs(error)}`);
  }
}

function sizeOrPanic(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  if (!/^\+?\d+$/.test(text)) throw new Panic(`'${name}' parameter expected to be of 'usize' type.: ParseIntError { kind: InvalidDigit }`);
  return Number(text);
}

function debugOs(error: unknown): string {
  const [, message = '', code = '0'] = /^(.*) \(os error (\d+)\)$/.exec(osError(error)) ?? [];
  const kinds: Readonly<Record<string, string>> = { 2: 'NotFound', 13: 'PermissionDenied', 17: 'AlreadyExists', 98: 'AddrInUse' };
  return `Os { code: ${code}, kind: ${kinds[code] ?? 'Uncategorized'}, message: "${message}" }`;
}

function debugOfId(wrong: string): string {
  const char = /^Invalid char \((.*)\) at position (\d+)$/su.exec(wrong);
  if (char) return `InvalidChar('${char[1]}', ${char[2]})`;
  return `InvalidLen(${/\((\d+)\)/.exec(wrong)?.[1]}, 1, 64)`;
}

/** A VM from a file boots at once; a bad file ends the process with 1 and the text twice, as Display in the log and as Debug on stderr. */
async function bootFromConfig(
  vmm: Vmm,
  { config, metadata, withApi, asked }: { config: string; metadata: string | null; withApi: boolean; asked: Asked },
): Promise<void> {
  const wrap = (what: string): MainError => {
    if (asked.waiting > 0) disconnect(vmm);
    return withApi
      ? new MainError(
          `RunWithApiError error: Failed to build MicroVM from Json: ${what}`,
          `RunWithApi(BuildFromJson(${JSON.stringify(what)}))`,
        )
      : new MainError(
          `RunWithoutApiError error: Failed to build MicroVM from Json: ${what}`,
          `RunWithoutApiError(BuildMicroVMFromJson(${JSON.stringify(what)}))`,
        );
  };
  const slow = vmm.parts.fates.number('builds-slowly', 100);
  if (slow !== null) await new Promise((resolve) => setTimeout(resolve, slow));
  try {
    await applyConfig(vmm, config, metadata);
  } catch (error) {
    throw error instanceof Refused ? wrap(`Configuration for VMM from one single json failed: ${error.message}`) : error;
  }
  try {
    vmm.start();
  } catch (error) {
    // 1.12 had a VMM by then, and ends it
    const { version, logger } = vmm.parts;
    if (atLeast(version, '1.12.0') && !atLeast(version, '1.13.0')) logger.say('info', 'main', 'Vmm is stopping.');
    throw error instanceof Refused ? wrap(`Could not Start MicroVM from one single json: ${error.message}`) : error;
  }
  vmm.parts.logger.say('info', 'main', 'Successfully started microvm that was configured from one single json');
}

/** Requests that wait for the VM of a configuration file. */
type Asked = { waiting: number };

/**
 * The VMM thread is gone while a request waits for it: the API thread panics, the hook of the panic looks whether standard input is a
 * terminal, and its filter does not allow that call, ioctl (api_server/mod.rs, main.rs; seen in 1.9.1 and 1.16.1). What was wrong is never said.
 */
function disconnect(vmm: Vmm): never {
  vmm.parts.logger.say(
    'error',
    'fc_api',
    'Firecracker panicked at src/firecracker/src/api_server/mod.rs:175:63:\nVMM disconnected: RecvError',
  );
  return badSyscall(vmm, 'fc_api', 16);
}

function badSyscall(vmm: Vmm, thread: 'main' | 'fc_api', call: number): never {
  const { logger, metrics } = vmm.parts;
  metrics.store('seccomp', 'num_faults', 1);
  logger.say('error', thread, 'Shutting down VM after intercepting signal 31, code 1.');
  logger.say('error', thread, `Shutting down VM after intercepting a bad syscall (${call}).`);
  vmm.flushMetrics();
  process.exit(exitCodes.badSyscall);
}

/** Binds the socket and answers. A request that comes before the VM of a configuration file runs waits, as for the real VMM thread. */
async function serve(
  vmm: Vmm,
  { path, maxPayload, asked, fromConfig }: { path: string; maxPayload: number; asked: Asked; fromConfig: boolean },
): Promise<void> {
  const { version, logger, metrics, fates } = vmm.parts;
  if (fates.has('api-never-binds')) return;
  let calls = 0;
  const torn = fates.number('api-torn', 1);
  const diesAfter = fates.number('api-dies-after', 1);
  const slow = fates.number('slow', 100);
  const server = new ApiServer({
    version,
    maxPayload,
    async handle(request) {
      calls += 1;
      if (fates.has('api-mute') || vmm.isStuck) await forever();
      if (slow !== null) await new Promise((resolve) => setTimeout(resolve, slow));
      if (fromConfig && vmm.state === 'Not started') {
        asked.waiting += 1;
        while (vmm.state === 'Not started') await new Promise((resolve) => setImmediate(resolve));
        asked.waiting -= 1;
      }
      return await answer(vmm, request);
    },
    outlet(socket, bytes) {
      if (fates.has('api-garbage')) {
        socket.write(Buffer.from('\u0000\u0001SSH-2.0-what\r\n\r\n{"fault_message":'));
        return;
      }
      if (torn === calls) {
        socket.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => process.kill(process.pid, 'SIGKILL'));
        return;
      }
      socket.write(bytes, () => {
        if (diesAfter !== null && calls >= diesAfter) process.kill(process.pid, 'SIGKILL');
      });
    },
  });
  try {
    await server.listen(at(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new MainError(
        `RunWithApiError error: Failed to open the API socket at: ${path}. Check that it is not already used.`,
        `RunWithApi(FailedToBindSocket(${JSON.stringify(path)}))`,
      );
    throw new MainError(
      `RunWithApiError error: Failed to bind and run the HTTP server: IO error: ${bindError(at(path), error)}`,
      `RunWithApi(FailedToBindAndRunHttpServer(IOError(${debugOs(error)})))`,
    );
  }
  if (atLeast(version, '1.12.0')) {
    logger.say('info', 'main', `Listening on API socket (${JSON.stringify(path)}).`);
    logger.say('info', 'fc_api', 'API server started.');
  }
  metrics.store('api_server', 'process_startup_time_us', 12_000);
  metrics.store('api_server', 'process_startup_time_cpu_us', 6000);
}

async function answer(vmm: Vmm, request: Request): Promise<Response> {
  const { version, logger, metrics, fates } = vmm.parts;
  const name = request.method[0] + request.method.slice(1).toLowerCase();
  const shown =
    request.body === null || request.path === '/mmds' || request.path === '/cpu-config'
      ? ''
      : ` with body ${JSON.stringify(request.body.toString('utf8'))}`;
  logger.say('info', 'fc_api', `The API server received a ${name} request on ${JSON.stringify(request.path)}${shown}.`);
  const group = `${request.method.toLowerCase()}_api_requests`;
  const counter = request.path.split('/')[1]?.replaceAll('-', '_') || 'instance_info';
  metrics.count(group, `${counter}_count`);
  try {
    const action = parseRequest(request, version);
    if (action.kind === 'start' && fates.has('start-hangs')) await forever();
    const { response, fatal } = await vmm.perform(action);
    if (response.status >= 400) {
      metrics.count(group, `${counter}_fails`);
      const fault = (JSON.parse(response.body ?? '{}') as { fault_message?: string }).fault_message ?? '';
      const status = response.status === 413 ? '413 Payload too large' : '400 Bad Request';
      logger.say('error', 'fc_api', `Received Error. Status code: ${status}. Message: ${fault}`);
    } else
      logger.say(
        'info',
        'fc_api',
        `The request was executed successfully. Status code: ${response.status === 200 ? '200 OK' : '204 No Content'}.`,
      );
    if (fatal !== undefined) endAfterAnswer(vmm, fatal);
    if (action.deprecated === null) return response;
    logger.say('warn', 'fc_api', action.deprecated);
    metrics.count('deprecated_api', 'deprecated_http_api_calls');
    return { ...response, deprecated: true };
  } catch (error) {
    if (error instanceof Panic) abort(error.message, logger);
    if (!(error instanceof RequestError)) throw error;
    metrics.count(group, `${counter}_fails`);
    logger.say('error', 'fc_api', error.message);
    return { status: 400, body: JSON.stringify({ fault_message: error.message }) };
  }
}

/** The 400 goes out first: the API thread is told to stop and writes what it still has. */
function endAfterAnswer(vmm: Vmm, why: string): void {
  setTimeout(
    () =>
      endWithError(
        new MainError(
          `RunWithApiError error: Failed to build MicroVM: ${why}.`,
          `RunWithApi(BuildMicroVmError(${why.startsWith('Resuming') ? 'Resume' : 'Restore'}))`,
        ),
        vmm.parts.logger,
      ),
    5,
  );
}

/** The guest ended the VM (vmm/src/vstate/vcpu.rs): a reset is 0, a triple fault 1 from 1.15 on. */
function end(vmm: Vmm, how: GuestEnd, withApi: boolean): void {
  const { version, logger, metrics } = vmm.parts;
  const triple = how === 'triple-faults';
  const fails = triple && atLeast(version, '1.15.0');
  if (fails) {
    metrics.count('vcpu', 'failures');
    logger.say('error', 'fc_vcpu 0', 'Unexpected exit reason on vcpu run: Shutdown');
  } else if (triple) logger.say('info', 'fc_vcpu 0', 'Received KVM_EXIT_SHUTDOWN signal');
  if (!triple) metrics.count('i8042', 'reset_count');
  if (vmm.parts.fates.has('hangs-at-end')) {
    logger.say('info', 'main', 'Vmm is stopping.');
    vmm.isStuck = true;
    return;
  }
  stopping(vmm);
  vmm.flushMetrics();
  if (fails) stopWith(vmm, withApi);
  endWell(logger);
}

/** Up to 1.14 it is told to stop once more when it is thrown away (vmm/src/lib.rs Vmm::drop). */
function stopping(vmm: Vmm): void {
  const { version, logger } = vmm.parts;
  logger.say('info', 'main', 'Vmm is stopping.');
  logger.say('info', 'main', atLeast(version, '1.15.0') ? 'Killing vCPU threads' : 'Vmm is stopping.');
}

function stopWith(vmm: Vmm, withApi: boolean): never {
  endWithError(
    withApi
      ? new MainError(
          'RunWithApiError error: MicroVM stopped with an error: GenericError',
          'RunWithApi(MicroVMStoppedWithError(GenericError))',
        )
      : new MainError(
          'RunWithoutApiError error: MicroVMStopped without an error: GenericError',
          'RunWithoutApiError(Shutdown(GenericError))',
        ),
    vmm.parts.logger,
  );
}

/** Ends that are not the guest's doing, once it is up. */
function afterReady(vmm: Vmm): void {
  const { fates, logger, metrics } = vmm.parts;
  const call = fates.number('seccomp', 41);
  if (call !== null) badSyscall(vmm, 'main', call);
  const signals = [
    ['sigbus', 7, exitCodes.sigbus],
    ['sigxfsz', 25, exitCodes.sigxfsz],
  ] as const;
  for (const [name, number, code] of signals) {
    if (!fates.has(name)) continue;
    metrics.store('signals', name, 1);
    logger.say('error', 'main', `Shutting down VM after intercepting signal ${number}, code 2.`);
    vmm.flushMetrics();
    process.exit(code);
  }
  if (fates.has('vcpu-fails')) {
    metrics.count('vcpu', 'failures');
    logger.say('error', 'fc_vcpu 0', 'Failure during vcpu run: Bad address (os error 14)');
    stopping(vmm);
    vmm.flushMetrics();
    stopWith(vmm, true);
  }
  if (fates.has('panics')) {
    metrics.store('vmm', 'panic_count', 1);
    vmm.flushMetrics();
    abort('called `Option::unwrap()` on a `None` value', logger);
  }
  if (fates.has('killed')) process.kill(process.pid, 'SIGKILL');
}

/** SIGTERM and SIGINT have no handler and end at once; the caught ones flush the metrics (firecracker/src/main.rs). node itself ignores SIGPIPE. */
function takeSignals(vmm: Vmm): void {
  if (vmm.parts.fates.has('ignores-sigterm')) {
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.on(name, () => {
        // As pid 1 of a pid namespace: the default action of a signal without a handler does not apply to it.
      });
  }
  process.on('SIGXFSZ', () => {
    // A write beyond --resource-limit fsize: of a log, of a snapshot, of its memory.
    vmm.parts.metrics.store('signals', 'sigxfsz', 1);
    process.exit(exitCodes.sigxfsz);
  });
  process.on('SIGHUP', () => {
    vmm.parts.metrics.store('signals', 'sighup', 1);
    vmm.parts.logger.say('error', 'main', 'Shutting down VM after intercepting signal 1, code 0.');
    vmm.flushMetrics();
    process.exit(exitCodes.sighup);
  });
}

function floodLog(logger: Logger): void {
  for (let line = 0; line < 200; line += 1) logger.say('warn', 'main', `flood ${'log '.repeat(20)}`);
  setImmediate(() => floodLog(logger));
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
