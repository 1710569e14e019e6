/** The life of golden versions over the API: proved or not on the simulated host, tags that move only on evidence, and back. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GoldenBuild, GoldenDeed, GoldenTag, GoldenView, Problem, VmView } from '@linstock/contract';
import { simApi } from './sim-api.ts';

let api: Awaited<ReturnType<typeof simApi>>;
beforeEach(async () => {
  api = await simApi();
});
afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api.close();
});

async function send<T>(
  method: 'GET' | 'POST',
  url: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T }> {
  const reply = await api.app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
  return { status: reply.statusCode, body: reply.json() };
}
const wait = { prefer: 'wait=60' };
const verify = (): Promise<{ status: number; body: GoldenView }> => send('POST', '/v1/goldens/tiny@1/actions/verify', {}, wait);
const promote = <T = GoldenTag>(body: object): Promise<{ status: number; body: T }> => send('POST', '/v1/goldens/tiny/tags/stable', body);
const vms = async (): Promise<VmView[]> => (await send<{ items: VmView[] }>('GET', '/v1/vms?deleted=true')).body.items;

describe('verifying a version', () => {
  it('is a draft at first; a throw-away VM proves it, and goes', async () => {
    expect((await send<GoldenView>('GET', '/v1/goldens/tiny@1')).body).toMatchObject({ state: 'draft', boot: null, vm: null, tags: [] });
    const { status, body } = await verify();
    expect({ status, body }).toMatchObject({ status: 200, body: { state: 'active', why: null, vm: null } });
    expect((await send('GET', `/v1/boots/${body.boot}`)).body).toMatchObject({ proof: { verified: 'proved' } });
    while ((await vms()).some(({ state }) => state !== 'deleted')) await api.turn();
    expect((await vms()).map(({ name }) => name)).toEqual([expect.stringMatching(/^verify-tiny-1-/)]);
  });

  it('fails with the reason when its guest panics, and may be tried again', async () => {
    api.world.panics = true;
    expect((await verify()).body).toMatchObject({ state: 'failed', why: expect.stringContaining('panicked') as string });
    api.world.panics = false;
    expect((await verify()).body).toMatchObject({ state: 'active', why: null });
  });

  it('is asked for twice, and done once', async () => {
    api.world.bootTicks = 1_000;
    await send('POST', '/v1/goldens/tiny@1/actions/verify', {});
    const { status, body } = await send<GoldenView>('POST', '/v1/goldens/tiny/actions/verify', {});
    expect({ status, body }).toMatchObject({ status: 202, body: { state: 'verifying' } });
    expect(await vms()).toHaveLength(1);
    expect((await vms())[0]?.id).toBe(body.vm);
  });

  it('fails when somebody deletes its VM', async () => {
    api.world.bootTicks = 1_000;
    const { body } = await send<GoldenView>('POST', '/v1/goldens/tiny@1/actions/verify', {});
    await api.app.inject({ method: 'DELETE', url: `/v1/vms/${body.vm}` });
    await api.turn();
    expect((await send<GoldenView>('GET', '/v1/goldens/tiny')).body).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('absent') as string,
    });
  });
});

describe('tags', () => {
  it('move to what was proved only, or with a reason that is kept', async () => {
    const refused = await promote<Problem>({ version: 1 });
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'golden-not-proved', detail: expect.stringContaining('draft: nobody has proved it') as string },
    });
    expect((await promote({ version: 1, waive: 'demo tomorrow' })).body).toMatchObject({ tag: 'stable', version: 1, revision: 1 });
    await verify();
    expect((await promote({ version: 1, ifRevision: 1 })).body).toMatchObject({ revision: 2 });
    expect(await promote({ version: 1, ifRevision: 1 })).toMatchObject({ status: 409, body: { code: 'golden-tag-moved' } });
    const { items } = (await send<{ items: GoldenDeed[] }>('GET', '/v1/goldens/tiny/history')).body;
    expect(items.map(({ what, reason, boot }) => [what, reason, boot !== null])).toEqual([
      ['promote', null, true],
      ['verified', null, true],
      ['verify', null, false],
      ['promote', 'demo tomorrow', false],
    ]);
  });

  it('name a version wherever one may be named, and go back to where they were', async () => {
    await verify();
    await promote({ version: 1 });
    expect((await send<GoldenView>('GET', '/v1/goldens/tiny:stable')).body).toMatchObject({ version: 1, tags: ['stable'] });
    expect((await send<{ vm: VmView }>('POST', '/v1/vms', { golden: 'tiny:stable' })).body.vm.golden).toMatchObject({
      name: 'tiny',
      version: 1,
    });
    expect(await send('POST', '/v1/goldens/tiny/tags/stable/actions/rollback', {})).toMatchObject({
      status: 404,
      body: { code: 'golden-tag-unknown' },
    });
    await promote({ version: 1 });
    expect(await send('POST', '/v1/goldens/tiny/tags/stable/actions/rollback', { reason: 'just so' })).toMatchObject({
      status: 200,
      body: { revision: 3 },
    });
  });

  it('a difference tells what the root file systems hold otherwise, behind what the manifests say', async () => {
    expect((await send('GET', '/v1/goldens/tiny@1/diff/tiny@1')).body).toEqual({
      from: 'tiny@1',
      to: 'tiny@1',
      parts: [{ what: 'package bash', from: '5.1', to: '5.2' }],
    });
  });

  it.each([
    ['a tag that is not there', 'GET', '/v1/goldens/tiny:canary', 'golden-tag-unknown'],
    ['an image that is not there', 'GET', '/v1/goldens/huge:canary', 'golden-unknown'],
    ['a version that is not there', 'POST', '/v1/goldens/tiny/tags/stable', 'golden-unknown'],
    ['the history of nothing', 'GET', '/v1/goldens/huge/history', 'golden-unknown'],
    ['a difference from nothing', 'GET', '/v1/goldens/tiny@1/diff/tiny@7', 'golden-unknown'],
  ] as const)('%s is not found, and what there is is said', async (_, method, url, code) => {
    expect(await send(method, url, method === 'POST' ? { version: 7 } : undefined)).toMatchObject({ status: 404, body: { code } });
  });
});

describe('deleting a version', () => {
  it('is refused while something uses it, and then it cannot be used any more', async () => {
    const remove = async (): Promise<{ status: number; body: Problem & GoldenView }> => {
      const reply = await api.app.inject({ method: 'DELETE', url: '/v1/goldens/tiny@1' });
      return { status: reply.statusCode, body: reply.json() };
    };
    await send('POST', '/v1/vms', { name: 'web', start: false });
    await promote({ version: 1, waive: 'a test' });
    const refused = await remove();
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'golden-in-use', detail: expect.stringContaining('VM web, tag stable') as string },
    });
    expect(api.dropped).toEqual([]);
  });

  it('goes with its files when nothing uses it', async () => {
    const reply = await api.app.inject({ method: 'DELETE', url: '/v1/goldens/tiny@1' });
    expect({ status: reply.statusCode, body: reply.json() as GoldenView }).toMatchObject({ status: 202, body: { state: 'deleted' } });
    expect((await send<{ items: GoldenView[] }>('GET', '/v1/goldens')).body.items).toEqual([]);
    expect(await send('POST', '/v1/vms', { name: 'late' })).toMatchObject({ status: 404, body: { code: 'golden-unknown' } });
    await api.turn();
    expect(api.dropped).toEqual(['tiny@1']);
  });
});

describe('a static look', () => {
  const finding = {
    id: 'network.dhcp',
    severity: 'error',
    path: '/etc/systemd/network/80-dhcp.network',
    line: 4,
    what: 'systemd-networkd asks for an address by DHCP.',
    why: 'It takes the leased address away.',
    fix: 'Mask it.',
    predicts: 'no address',
    refutes: 'net.address',
  } as const;

  it('that finds errors keeps a version from being verified, unless there is a reason, which is kept', async () => {
    api.findings.push(finding, { ...finding, severity: 'warning' });
    expect((await send('GET', '/v1/goldens/tiny/lint')).body).toMatchObject({ golden: 'tiny@1', findings: [finding, {}] });
    expect(await verify()).toMatchObject({
      status: 409,
      body: {
        code: 'golden-faulty',
        detail: expect.stringContaining('an error: /etc/systemd/network/80-dhcp.network:4: systemd-networkd asks') as string,
      },
    });
    expect(await vms()).toEqual([]);
    const waived = await send<GoldenView>('POST', '/v1/goldens/tiny@1/actions/verify', { waive: 'the server is on this network' }, wait);
    expect(waived).toMatchObject({ status: 200, body: { state: 'active' } });
    const { items } = (await send<{ items: GoldenDeed[] }>('GET', '/v1/goldens/tiny/history')).body;
    expect(items.map(({ what, reason }) => [what, reason])).toEqual([
      ['verified', null],
      ['verify', 'the server is on this network'],
    ]);
  });

  it('that finds warnings does not', async () => {
    api.findings.push({ ...finding, severity: 'warning' });
    expect((await verify()).body).toMatchObject({ state: 'active' });
  });
});

describe('a version that is being built, or could not be', () => {
  const build = (version: number, state: GoldenBuild['state']): GoldenBuild => ({
    name: 'tiny',
    version,
    state,
    why: state === 'building' ? null : 'no room',
    by: 'me',
    startedAt: 1,
    endedAt: null,
    order: { recipe: 'tiny', cwd: '/', name: null, kernel: null, use: 'as-built' },
  });

  it('stands in the list, and is deleted when nobody is at it', async () => {
    api.builds.push(build(2, 'building'), build(3, 'failed'));
    expect((await send('GET', '/v1/goldens')).body).toMatchObject({ builds: [{ version: 2 }, { version: 3, why: 'no room' }] });
    const abandon = async (id: string): Promise<unknown> =>
      (await api.app.inject({ method: 'DELETE', url: `/v1/goldens/${id}/build` })).json();
    expect(await abandon('tiny@2')).toMatchObject({ code: 'golden-building' });
    expect(await abandon('tiny@3')).toMatchObject({ state: 'failed' });
    expect(await abandon('tiny@3')).toMatchObject({ code: 'not-found' });
    expect((await send('GET', '/v1/goldens')).body).toMatchObject({ builds: [{ version: 2 }] });
  });
});
