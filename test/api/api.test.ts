import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Problem, VmView } from '@linstock/contract';
import { simApi } from './sim-api.ts';

let api: Awaited<ReturnType<typeof simApi>>;
beforeEach(async () => {
  api = await simApi();
});
afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api.close();
});

type Sent = { status: number; body: unknown; headers: Record<string, unknown> };
async function send(method: 'GET' | 'POST' | 'DELETE', url: string, body?: unknown, headers: Record<string, string> = {}): Promise<Sent> {
  const reply = await api.app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body as object }) });
  const json = String(reply.headers['content-type']).includes('json') && !String(reply.headers['content-type']).includes('ndjson');
  return { status: reply.statusCode, body: json ? reply.json() : reply.body, headers: reply.headers };
}
const vmOf = (sent: Sent): VmView => (sent.body as { vm: VmView }).vm;
const problemOf = (sent: Sent): Problem => sent.body as Problem;
const wait = { prefer: 'wait=60' };

describe('creating a VM', () => {
  it('answers 201 with the operation, and the VM is found by id and by name', async () => {
    const made = await send('POST', '/v1/vms', { name: 'web' });
    expect(made.status).toBe(201);
    expect(made.headers.location).toMatch(/^\/v1\/operations\/op_/);
    expect(vmOf(made)).toMatchObject({ name: 'web', state: 'creating', verified: 'unknown' });
    expect((await send('GET', '/v1/vms/web')).body).toMatchObject({ id: vmOf(made).id });
    expect((await send('GET', `/v1/vms/${vmOf(made).id}`)).headers.etag).toBe('"1"');
  });

  it('waits until verified when asked to', async () => {
    const made = await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      vm: { state: 'running', verified: 'proved', address: '192.168.100.2' },
      goal: { is: 'reached' },
      operation: { state: 'succeeded' },
    });
  });

  it('answers 202 when the wait is over before the goal, and the work goes on', async () => {
    api.world.bootTicks = 100;
    const made = await send('POST', '/v1/vms?until=running', { name: 'web' }, { prefer: 'wait=3' });
    expect(made.status).toBe(202);
    expect(made.body).toMatchObject({ goal: { is: 'not-yet' }, vm: { state: 'starting' } });
  });

  it('is no HTTP error when the guest panics: the fault is in the VM, and the wait ends at once', async () => {
    api.world.panics = true;
    const made = await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ goal: { is: 'unreachable' }, vm: { fault: { code: 'guest-panicked' } } });
    const later = await send('GET', '/v1/vms/web/wait?until=running&timeout=60');
    expect(later.status).toBe(409);
    expect(problemOf(later)).toMatchObject({
      code: 'goal-unreachable',
      family: 'guest',
      retry: 'after-change',
      detail: expect.stringMatching(
        /web cannot become running any more: .*panicked: .*; the cause: .*\(boot\.kernel-panic, console line 3\)/,
      ),
      data: { fault: 'guest-panicked', cause: 'boot.kernel-panic', consoleLine: 3 },
    });
    const { boot } = (await send('GET', '/v1/vms/web')).body as VmView;
    expect((await send('GET', `/v1/boots/${boot}`)).body).toMatchObject({
      fault: { data: { cause: 'boot.kernel-panic', consoleLine: 3 } },
    });
  });

  type Bad = [what: string, body: unknown, status: number, code: string, says: RegExp];
  const bad: Bad[] = [
    ['an unknown field', { kernelArgs: ['x'] }, 422, 'request-invalid', /kernelArgs is not a field/],
    ['a nested unknown field', { bootArgs: { plus: [] } }, 422, 'request-invalid', /plus is not a field/],
    ['a bad name', { name: 'Web!' }, 422, 'request-invalid', /a-z, 0-9/],
    ['too little memory for any guest', { memoryMiB: 1 }, 422, 'request-invalid', /memoryMiB/],
    ['too little memory for this guest', { memoryMiB: 16 }, 422, 'guest-too-small', /at least/],
    ['an unknown golden', { golden: 'nope' }, 404, 'golden-unknown', /there are: /],
    ['an unknown version', { golden: 'tiny@99' }, 404, 'golden-unknown', /tiny@99/],
    ['an unknown network', { network: 'nope' }, 404, 'network-unknown', /default/],
    ['a newline in an argument', { bootArgs: { add: ['a=b\nc'] } }, 422, 'boot-args-invalid', /newline|control/],
    ['an undefined in an argument', { bootArgs: { add: ['foo=undefined'] } }, 422, 'boot-args-invalid', /undefined/],
    ['an unresolved placeholder', { bootArgs: { add: ['foo={bar}'] } }, 422, 'boot-args-invalid', /bar/],
    ['an unbalanced quote', { bootArgs: { add: ['foo="bar'] } }, 422, 'boot-args-invalid', /quote/],
    ['a key that is there already', { bootArgs: { add: ['root=/dev/vdb'] } }, 422, 'boot-args-invalid', /replace/],
    ['a replacement of nothing', { bootArgs: { replace: ['nosuch=1'] } }, 422, 'boot-args-invalid', /nosuch/],
  ];
  it.each(bad)('refuses %s with one clear sentence and changes nothing', async (_, body, status, code, says) => {
    const before = await api.store.read((tx) => tx.eventBounds());
    const reply = await send('POST', '/v1/vms', body);
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(problemOf(reply)).toMatchObject({ code, status, requestId: expect.stringMatching(/^req_/) });
    expect(problemOf(reply).detail).toMatch(says);
    expect((await send('GET', '/v1/vms')).body).toMatchObject({ items: [] });
    expect(await api.store.read((tx) => tx.eventBounds())).toEqual(before);
  });

  it('refuses a name that is taken, and says by whom', async () => {
    const first = await send('POST', '/v1/vms', { name: 'web' });
    const second = await send('POST', '/v1/vms', { name: 'web' });
    expect(second.status).toBe(409);
    expect(problemOf(second).detail).toContain(vmOf(first).id);
  });

  it('refuses at once when every address is leased, and again when a stopped VM is started', async () => {
    const small = await simApi({ subnet: '192.168.100.0/30' }); // one address besides network, gateway and broadcast
    const post = async (url: string, payload: object): Promise<{ statusCode: number; json(): unknown }> =>
      small.app.inject({ method: 'POST', url, payload, headers: wait });
    expect((await post('/v1/vms?until=running', { name: 'a' })).statusCode).toBe(201);
    const full = await post('/v1/vms', { name: 'b' });
    expect([full.statusCode, full.json()]).toMatchObject([507, { code: 'network-full' }]);
    expect((await post('/v1/vms?until=stopped', { name: 'c', start: false })).statusCode).toBe(201);
    expect((await post('/v1/vms/c/actions/start', {})).json()).toMatchObject({ code: 'network-full' });
    await small.close();
  });

  it('refuses a body over the limit and one that is not JSON', async () => {
    const large = await api.app.inject({
      method: 'POST',
      url: '/v1/vms',
      headers: { 'content-type': 'application/json' },
      payload: `{"name":"${'x'.repeat(10_000_000)}"}`,
    });
    expect(large.statusCode).toBe(413);
    expect(large.json()).toMatchObject({ code: 'request-too-large' });
    for (const payload of ['{', 'null nil']) {
      const broken = await api.app.inject({ method: 'POST', url: '/v1/vms', headers: { 'content-type': 'application/json' }, payload });
      expect(broken.statusCode).toBe(400);
      expect(broken.json()).toMatchObject({ code: 'request-not-json' });
    }
    const text = await api.app.inject({ method: 'POST', url: '/v1/vms', headers: { 'content-type': 'text/plain' }, payload: 'x' });
    expect(text.json()).toMatchObject({ code: 'request-not-json' });
  });
});

describe('idempotency keys', () => {
  const key = { 'idempotency-key': 'k1' };
  it('give the same VM for the same body', async () => {
    const first = await send('POST', '/v1/vms', { name: 'web' }, key);
    const again = await send('POST', '/v1/vms', { name: 'web' }, key);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(vmOf(again).id).toBe(vmOf(first).id);
    expect((await send('GET', '/v1/vms')).body).toMatchObject({ items: [{ name: 'web' }] });
  });
  it('are refused for another body', async () => {
    await send('POST', '/v1/vms', { name: 'web' }, key);
    expect(problemOf(await send('POST', '/v1/vms', { name: 'other' }, key))).toMatchObject({ code: 'idempotency-key-reused', status: 422 });
  });
  it('count per route: the same key may start one VM and create another', async () => {
    await send('POST', '/v1/vms?until=running', { name: 'web' }, { ...key, ...wait });
    expect((await send('POST', '/v1/vms/web/actions/stop', {}, key)).status).toBe(202);
  });
  it('make one VM even when sent twice at once', async () => {
    const both = await Promise.all([send('POST', '/v1/vms', { name: 'web' }, key), send('POST', '/v1/vms', { name: 'web' }, key)]);
    expect(vmOf(both[0]).id).toBe(vmOf(both[1]).id);
  });
});

describe('actions', () => {
  beforeEach(async () => {
    await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
  });

  it('pause, resume, stop, start and delete, each as wished', async () => {
    expect(vmOf(await send('POST', '/v1/vms/web/actions/pause?until=paused', {}, wait)).state).toBe('paused');
    expect(vmOf(await send('POST', '/v1/vms/web/actions/resume?until=running', {}, wait)).state).toBe('running');
    expect(vmOf(await send('POST', '/v1/vms/web/actions/stop?until=stopped', {}, wait)).state).toBe('stopped');
    expect(vmOf(await send('POST', '/v1/vms/web/actions/start?until=verified', {}, wait)).state).toBe('running');
    expect(vmOf(await send('DELETE', '/v1/vms/web?until=deleted', undefined, wait)).state).toBe('deleted');
    expect(api.world.left()).toEqual({ disks: [], slots: [], units: [] });
    expect((await send('GET', '/v1/boots')).body).toMatchObject({
      items: [{ end: { reason: 'wished-absent' } }, { end: { reason: 'wished-stopped' } }],
    });
  });

  it('are refused where the state forbids them, saying which state allows them', async () => {
    const reply = await send('POST', '/v1/vms/web/actions/start', {});
    expect(problemOf(reply)).toMatchObject({
      status: 409,
      code: 'vm-state-forbids',
      detail: 'start needs a VM that is stopped or failed; web is running.',
    });
  });

  it('verify looks again', async () => {
    const again = await send('POST', '/v1/vms/web/actions/verify?until=verified', {}, wait);
    expect(again.body).toMatchObject({ goal: { is: 'reached' }, operation: { kind: 'vm.verify', state: 'succeeded' } });
  });

  it('are refused when If-Match names an older version', async () => {
    expect(problemOf(await send('POST', '/v1/vms/web/actions/stop', {}, { 'if-match': '"1"' }))).toMatchObject({
      status: 412,
      code: 'version-stale',
    });
    const etag = String((await send('GET', '/v1/vms/web')).headers.etag);
    expect((await send('POST', '/v1/vms/web/actions/stop', {}, { 'if-match': etag })).status).toBe(202);
  });

  it('delete may be repeated', async () => {
    expect((await send('DELETE', '/v1/vms/web')).status).toBe(202);
    expect((await send('DELETE', '/v1/vms/web')).status).toBe(202);
    expect(vmOf(await send('DELETE', '/v1/vms/web?until=deleted', undefined, wait)).state).toBe('deleted');
    expect(problemOf(await send('DELETE', '/v1/vms/nosuch')).code).toBe('not-found');
  });

  it('exec streams frames, the last one with the exit code', async () => {
    const reply = await send('POST', '/v1/vms/web/actions/exec', { argv: ['true'] });
    expect(
      String(reply.body)
        .trim()
        .split('\n')
        .map((l) => JSON.parse(l)),
    ).toMatchObject([{ stream: 'stdout' }, { exit: { code: 3 } }]);
    expect(problemOf(await send('POST', '/v1/vms/web/actions/exec', { argv: [] })).code).toBe('request-invalid');
  });
});

describe('reading', () => {
  it('pages through many VMs without losing or doubling one', async () => {
    for (let i = 0; i < 7; i += 1) await send('POST', '/v1/vms', { name: `vm${i}`, start: false });
    const names: string[] = [];
    let next = '';
    do {
      const page = (await send('GET', `/v1/vms?limit=3${next && `&after=${next}`}`)).body as { items: VmView[]; next: string | null };
      names.push(...page.items.map((v) => v.name));
      next = page.next ?? '';
    } while (next !== '');
    expect(names).toEqual(['vm0', 'vm1', 'vm2', 'vm3', 'vm4', 'vm5', 'vm6']);
  });

  it('lists events without a gap, and tells when they are gone', async () => {
    await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    const { items } = (await send('GET', '/v1/events?limit=1000')).body as { items: { seq: number; type: string }[] };
    expect(items.map((e) => e.seq)).toEqual(items.map((_, i) => i + 1));
    expect(items.map((e) => e.type)).toContain('vm.phase');
    expect(items.map((e) => e.type)).toContain('operation.ended');
  });

  it('says which network, host, golden, boot and operation there is', async () => {
    const made = await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    expect((await send('GET', '/v1/networks/default')).body).toMatchObject({ leases: [{ vm: vmOf(made).id, address: '192.168.100.2' }] });
    expect((await send('GET', '/v1/hosts')).body).toMatchObject({ items: [{ vms: 1 }] });
    expect((await send('GET', '/v1/goldens/tiny')).body).toMatchObject({ name: 'tiny' });
    expect((await send('GET', `/v1/boots/${vmOf(made).boot}`)).body).toMatchObject({ proof: { verified: 'proved' }, end: null });
    expect((await send('GET', '/v1/vms/web/proof')).body).toMatchObject({ proof: { verified: 'proved' } });
    expect((await send('GET', '/v1/vms/web/console')).body).toBe('hello');
    expect((await send('GET', String(made.headers.location))).body).toMatchObject({ kind: 'vm.create', state: 'succeeded' });
    expect((await send('GET', '/v1/health')).body).toMatchObject({ current: true, vms: 1 });
  });

  it('takes the evidence of a VM that runs, of one that is stopped, and of one that never was started', async () => {
    const kinds = (reply: { body: unknown }): unknown =>
      (reply.body as { documents: { kind: string; text: string }[] }).documents.map((d) => d.kind);
    await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    const running = await send('GET', '/v1/vms/web/evidence');
    expect(running.body).toMatchObject({
      format: 'linstock-evidence-1',
      madeBy: '0.0.0',
      subject: expect.stringMatching(/^vm web \(vm_.*\), boot boot_/),
    });
    expect(kinds(running)).toEqual(['console', 'controller', 'proof']);
    await send('POST', '/v1/vms/web/actions/stop?until=stopped', {}, wait);
    const stopped = await send('GET', '/v1/vms/web/evidence');
    expect(kinds(stopped)).toEqual(['console', 'controller', 'proof']);
    expect(JSON.stringify(stopped.body)).toContain('ended reason=wished-stopped');
    await send('POST', '/v1/vms', { name: 'idle', start: false });
    expect(kinds(await send('GET', '/v1/vms/idle/evidence'))).toEqual(['requested', 'controller']);
    expect(problemOf(await send('GET', '/v1/vms/nosuch/evidence'))).toMatchObject({ status: 404, code: 'not-found' });
  });

  it('diagnoses a VM that runs, one that failed, and one that never was started', async () => {
    await send('POST', '/v1/vms', { name: 'idle', start: false });
    await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    expect((await send('GET', '/v1/vms/web/diagnosis')).body).toMatchObject({
      causes: expect.not.arrayContaining([{ confidence: 'likely' }]),
    });
    expect((await send('GET', '/v1/vms/idle/diagnosis')).body).toMatchObject({ outcome: 'unknown' });
    api.world.panics = true;
    await send('POST', '/v1/vms?until=verified', { name: 'sick' }, wait);
    expect((await send('GET', '/v1/vms/sick/diagnosis')).body).toMatchObject({
      outcome: 'failed',
      causes: [{ code: 'boot.kernel-panic', confidence: 'likely', because: [{ source: 'console' }] }],
    });
    expect(problemOf(await send('GET', '/v1/vms/nosuch/diagnosis'))).toMatchObject({ status: 404, code: 'not-found' });
  });

  it('has a case of a VM that fails, with its diagnosis, until a boot of it is proved', async () => {
    type Listed = { items: { id: string; vm: string }[]; next: string | null };
    const listed = async (query = ''): Promise<Listed> => (await send('GET', `/v1/cases${query}`)).body as Listed;
    api.world.panics = true;
    const ids: string[] = [];
    for (const name of ['one', 'two']) ids.push(vmOf(await send('POST', '/v1/vms?until=running', { name }, wait)).id);
    for (let i = 0; i < 8; i += 1) await api.turn();
    const open = await listed();
    expect(open).toMatchObject({ items: [{ vm: ids[0], code: 'boot.kernel-panic', state: 'open', boots: 1 }, { vm: ids[1] }], next: null });
    expect(await listed('?vm=two&state=all')).toMatchObject({ items: [{ vmName: 'two' }] });
    const first = await listed('?limit=1');
    expect(first).toMatchObject({ items: [{ vm: ids[0] }], next: open.items[0]?.id });
    expect(await listed(`?limit=1&after=${first.next}`)).toMatchObject({ items: [{ vm: ids[1] }], next: null });
    expect((await send('GET', `/v1/cases/${open.items[0]?.id}`)).body).toMatchObject({
      vm: ids[0],
      diagnosis: { outcome: 'failed', causes: [{ code: 'boot.kernel-panic', because: [{ source: 'console', line: 3 }] }] },
    });
    expect((await send('GET', '/v1/health')).body).toMatchObject({ cases: { 'boot.kernel-panic': 2 } });
    const metrics = await send('GET', '/metrics');
    expect(metrics.headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(String(metrics.body)).toContain('linstock_cases_open{code="boot.kernel-panic"} 2\n');
    expect(String(metrics.body)).toContain('linstock_vms{state="failed"} 2\n');
    expect(String(metrics.body)).toContain('linstock_boots_kept{outcome="guest-panicked"} 2\n');

    api.world.panics = false;
    await send('POST', '/v1/vms/one/actions/start?until=verified', {}, wait);
    await send('DELETE', '/v1/vms/two?until=deleted', undefined, wait);
    await api.turn();
    expect(await listed()).toEqual({ items: [], next: null });
    expect(await listed('?state=closed')).toMatchObject({
      items: [{ closed: { why: 'verified' } }, { closed: { why: 'deleted', boot: null } }],
    });
    expect((await send('GET', '/v1/health')).body).toMatchObject({ cases: {} });
    expect(problemOf(await send('GET', '/v1/cases/nosuch'))).toMatchObject({ status: 404, detail: 'There is no case nosuch.' });
    expect(problemOf(await send('GET', '/v1/cases?vm=nosuch'))).toMatchObject({ status: 404, code: 'not-found' });
    expect(problemOf(await send('GET', '/v1/cases?state=odd'))).toMatchObject({ status: 422, code: 'request-invalid' });
  });

  it('tells of the last good boot of the same image', async () => {
    for (const name of ['one', 'two']) await send('POST', '/v1/vms?until=verified', { name }, wait);
    expect(JSON.stringify((await send('GET', '/v1/vms/two/evidence')).body)).toMatch(/good_boot=boot_.*nothing that is recorded differs/);
  });

  it('knows what is not there', async () => {
    for (const url of ['/v1/vms/nosuch', '/v1/boots/nosuch', '/v1/operations/nosuch', '/v1/vms/nosuch/proof', '/v1/vms/nosuch/console']) {
      expect(problemOf(await send('GET', url)), url).toMatchObject({ status: 404, code: 'not-found' });
    }
    expect(problemOf(await send('GET', '/v2/anything'))).toMatchObject({ status: 404, code: 'route-unknown' });
    expect(problemOf(await send('GET', '/v1/vms?nosuch=1'))).toMatchObject({ status: 422, code: 'request-invalid' });
  });
});

describe('what was deleted', () => {
  beforeEach(async () => {
    await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    await send('DELETE', '/v1/vms/web?until=deleted', undefined, wait);
  });

  it('gives its name back, and is listed only when asked for', async () => {
    expect((await send('GET', '/v1/vms?name=web')).body).toMatchObject({ items: [] });
    expect((await send('GET', '/v1/vms?name=web&deleted=true')).body).toMatchObject({ items: [{ state: 'deleted' }] });
    const again = await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
    expect(vmOf(again).state).toBe('running');
    expect((await send('GET', '/v1/vms/web')).body).toMatchObject({ id: vmOf(again).id });
  });

  it('may be deleted again, and then nothing has to be done', async () => {
    const again = await send('DELETE', '/v1/vms/web');
    expect(again).toMatchObject({ status: 202, body: { operation: null, vm: { state: 'deleted' } } });
    expect(again.headers).not.toHaveProperty('location');
  });

  it("keeps its boots, and shows nobody else's console", async () => {
    const { items } = (await send('GET', '/v1/boots?vm=web')).body as { items: { id: string }[] };
    expect((await send('GET', `/v1/vms/web/console?boot=${items[0]?.id}`)).body).toBe('hello');
    await send('POST', '/v1/vms?until=verified', { name: 'other' }, wait);
    expect(problemOf(await send('GET', `/v1/vms/other/console?boot=${items[0]?.id}`)).code).toBe('not-found');
    expect(problemOf(await send('GET', '/v1/boots?vm=vm_nosuch')).code).toBe('not-found');
  });
});

it('does not let a proof undo a pause', async () => {
  await send('POST', '/v1/vms?until=verified', { name: 'web' }, wait);
  await send('POST', '/v1/vms/web/actions/pause', {});
  expect(problemOf(await send('POST', '/v1/vms/web/actions/verify', {})).code).toBe('vm-state-forbids');
  expect(problemOf(await send('GET', '/v1/vms/web/wait?until=running&timeout=60'))).toMatchObject({ code: 'goal-unreachable' });
});

it('begins nothing new while it stops', async () => {
  const stopping = await simApi({ stopping: AbortSignal.abort() });
  const reply = await stopping.app.inject({ url: '/v1/vms' });
  expect([reply.statusCode, reply.json()]).toMatchObject([503, { code: 'shutting-down', retry: 'later' }]);
  await stopping.close();
});

it('needs the token for everything but health', async () => {
  const guarded = await simApi({ token: 'secret' });
  const ask = async (url: string, headers: Record<string, string> = {}): Promise<number> =>
    (await guarded.app.inject({ url, headers })).statusCode;
  expect(await ask('/v1/health')).toBe(200);
  expect(await ask('/v1/vms')).toBe(401);
  expect(await ask('/v1/vms', { authorization: 'Bearer wrong' })).toBe(401);
  expect(await ask('/v1/vms', { authorization: 'Bearer secret' })).toBe(200);
  await guarded.close();
});

describe('builds', () => {
  const order = { what: 'golden', recipe: 'base', cwd: '/' };

  it('are operations that somebody asked for once, can be listed and ended', async () => {
    const asked = await api.app.inject({ method: 'POST', url: '/v1/builds', headers: { 'idempotency-key': 'k' }, payload: order });
    const build = asked.json<{ id: string }>();
    expect([asked.statusCode, build]).toMatchObject([202, { kind: 'golden.build', subject: 'golden base', state: 'running', steps: [] }]);
    const again = await api.app.inject({ method: 'POST', url: '/v1/builds', headers: { 'idempotency-key': 'k' }, payload: order });
    expect(again.json()).toMatchObject({ id: build.id });
    expect((await api.app.inject({ method: 'POST', url: '/v1/builds', payload: order })).json()).toMatchObject({ code: 'build-under-way' });
    expect((await api.app.inject({ method: 'GET', url: '/v1/builds' })).json()).toMatchObject({ items: [{ id: build.id }] });
    const cancel = (id: string): Promise<unknown> =>
      api.app.inject({ method: 'POST', url: `/v1/builds/${id}/actions/cancel`, payload: {} }).then((reply) => reply.json());
    expect(await cancel(build.id)).toMatchObject({ state: 'running', cancelBy: 'local' });
    expect(await cancel('op_none')).toMatchObject({ code: 'not-found' });
    expect((await api.app.inject({ method: 'GET', url: `/v1/operations/${build.id}` })).json()).toMatchObject({ kind: 'golden.build' });
    expect((await api.app.inject({ method: 'GET', url: '/v1/builds/op_none' })).json()).toMatchObject({ code: 'not-found' });
  });

  it.each([
    ['what is not known', { what: 'case', recipe: 'base', cwd: '/' }],
    ['a folder that is relative', { ...order, cwd: 'here' }],
    ['an unknown field', { ...order, more: 1 }],
  ])('refuse %s', async (_, payload) => {
    expect((await api.app.inject({ method: 'POST', url: '/v1/builds', payload })).json()).toMatchObject({ code: 'request-invalid' });
  });
});
