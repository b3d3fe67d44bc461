import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Viewer } from '../accounts/accounts.ts';
import { createLedger, type Ledger } from '../ledger.ts';
import { auditLog } from '../queries/moderation.ts';
import { onEachEngine } from '../testing/databases.ts';
import { entry, ledgerFile } from '../testing/fixtures.ts';
import { person } from '../testing/people.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import { workerKey } from '../testing/worker-key.ts';
import { isSignedBy } from './keys.ts';
import { allMeasurements, askToMeasure, cancelMeasurement, retryMeasurement } from './measurements.ts';
import { allWorkers, registerWorker, revokeWorker } from './workers.ts';

interface Answer {
  taken?: { job: string; lease: string; slug: string; quick: boolean; leaseSeconds: number } | null;
  error?: { argument: string; given: string | null; allowed: string };
}

onEachEngine('workers', (open) => {
  let site: TestSite;
  let ada: Viewer;
  let one: ReturnType<typeof workerKey>;
  let two: ReturnType<typeof workerKey>;
  beforeAll(async () => {
    site = await openSite('UTC', open);
    ada = await person(site.database, 'ada', { role: 'admin' });
  }, 120_000);
  afterAll(() => site?.close());
  beforeEach(async () => {
    for (const table of ['measurements', 'workers', 'limits'])
      await site.database.query(`DELETE FROM ${table}`);
    [one, two] = [workerKey(), workerKey()];
    await registerWorker(site.database, { name: 'one', publicKey: one.key, actor: ada });
    await registerWorker(site.database, { name: 'two', publicKey: two.key, actor: ada });
  });

  const post = async (message: { body: string; headers: Record<string, string> }) => {
    const response = await site.app.request('/worker', { method: 'POST', ...message });
    return { status: response.status, headers: response.headers, answer: (await response.json()) as Answer };
  };
  const { machine } = ledgerFile();
  const papers = ['fna', 'gna', 'power-attention'];
  const claim = (worker = one) => post(worker.message({ kind: 'claim', machine, papers }));
  const ask = (slugs: string[], over: { worker?: string; quick?: boolean } = {}) =>
    askToMeasure(site.database, { slugs, quick: false, actor: ada, ...over });
  const states = async () =>
    (await allMeasurements(site.database)).map(({ slug, state }) => `${slug} ${state}`);
  const idOf = async (name: string) =>
    (await allWorkers(site.database)).find((worker) => worker.name === name)!.id;
  const result = (worker: typeof one, held: { job: string; lease: string }, over = {}) =>
    worker.message({
      kind: 'result',
      job: held.job,
      lease: held.lease,
      ledger: ledgerFile({ slug: 'gna', date: '2026-11-26T06:00:00.000Z', ...over }),
    });
  const lapse = () =>
    site.database.query(
      "UPDATE measurements SET leased_until = now() - interval '1 s' WHERE state = 'running'",
    );

  test('a measurement is asked for, taken, told of, sent back, and stands in the ledger of every server', async () => {
    const other: Ledger = createLedger({ verdicts: [], file: () => undefined }, site.database);
    expect((await other.read()).verdicts).toEqual([]);
    expect(await ask(['gna'])).toBe(1);
    expect(await ask(['gna'])).toBe(0);
    const { answer } = await claim();
    expect(answer.taken).toMatchObject({ slug: 'gna', quick: false, leaseSeconds: 120 });
    const held = answer.taken!;
    expect((await claim(two)).answer.taken).toBeNull();
    const progress = { kind: 'progress', job: held.job, lease: held.lease, text: '1/3 a-claim' };
    expect((await post(one.message(progress))).status).toBe(200);
    expect((await allMeasurements(site.database))[0]).toMatchObject({
      state: 'running',
      worker: 'one',
      progress: '1/3 a-claim',
    });
    const sent = result(one, held);
    expect((await post(sent)).status).toBe(200);
    expect(await states()).toEqual(['gna done']);
    expect((await post(one.message(progress))).answer.error?.allowed).toContain('does not hold');

    const rows = JSON.parse((await site.get('/api/papers/gna')).text).saccade.ledger;
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({
      worker: 'one',
      machine: 'test-machine',
      verdict: 'holds',
      values: { timesFasterThanDense: 3.1 },
      date: '2026-11-26T06:00:00.000Z',
      commit: '0123456789abcdef',
    });
    await other.refresh();
    expect((await other.read()).verdicts).toEqual(rows);
    expect((await other.read()).counts.get('gna')).toEqual({
      holds: 1,
      'does not hold': 1,
      'holds in direction': 1,
    });
    // What was signed is there byte for byte, and anybody can verify it.
    const file = await site.get('/ledger/workers/one/gna.json');
    expect(file.text).toBe(sent.body);
    const bytes = Buffer.from(file.text);
    expect(file.headers.get('saccade-public-key')).toBe(one.key);
    expect(isSignedBy(one.key, bytes, file.headers.get('saccade-signature')!)).toBe(true);
    expect((await site.get('/ledger/workers/one/fna.json')).status).toBe(404);
    expect((await auditLog(site.database)).lines.map(({ action }) => action)).toContain('ask to measure');
  });

  test('a full measurement is not hidden by a quick one, and the latest of a kind counts', async () => {
    const measure = async (quick: boolean, timesFasterThanDense: number) => {
      await ask(['gna'], { quick });
      const held = (await claim()).answer.taken!;
      const entries = [entry({ values: { timesFasterThanDense } })];
      expect((await post(result(one, held, { quick, entries }))).status).toBe(200);
      const { saccade } = JSON.parse((await site.get('/api/papers/gna')).text);
      return saccade.ledger.map(({ values }: { values: object }) => Object.values(values)[0]);
    };
    expect(await measure(true, 1)).toEqual([1]);
    expect(await measure(false, 2)).toEqual([2]);
    expect(await measure(true, 3)).toEqual([2]);
    expect(await measure(false, 4)).toEqual([4]);
  });

  test.each([
    ['a strange key', () => workerKey().message({ kind: 'claim', machine, papers }), 401, 'worker'],
    [
      'a signature of another key',
      () => ({
        ...one.message({ kind: 'claim', machine, papers }),
        headers: two.message({}).headers,
      }),
      401,
      'Saccade-Signature',
    ],
    [
      'one byte that is another',
      () => {
        const { body, headers } = one.message({ kind: 'claim', machine, papers });
        return { body: body.replace('"cores":2', '"cores":3'), headers };
      },
      401,
      'Saccade-Signature',
    ],
    [
      'no signature',
      () => ({ body: one.message({ kind: 'claim' }).body, headers: {} }),
      401,
      'Saccade-Signature',
    ],
    ['no JSON', () => ({ body: '{', headers: { 'Saccade-Signature': 'x' } }), 400, 'body'],
    ['an unknown kind', () => one.message({ kind: 'shout' }), 400, 'kind'],
    ['a field too many', () => one.message({ kind: 'claim', machine, papers, admin: true }), 400, 'message'],
    [
      'an old message',
      () => one.message({ kind: 'claim', machine, papers, at: '2026-01-01T00:00:00.000Z' }),
      400,
      'at',
    ],
    [
      'a verdict that there is not',
      () => result(one, held(), { entries: [entry({ verdict: 'wonderful' as never })] }),
      400,
      'ledger.entries.0.verdict',
    ],
    [
      'samples that are no numbers',
      () => result(one, held(), { entries: [entry({ samples: { a: ['x'] as never } })] }),
      400,
      'ledger.entries.0.samples.a.0',
    ],
    [
      'a machine whose name is a path',
      () => result(one, held(), { machine: { ...machine, id: '../x' } }),
      400,
      'ledger.machine.id',
    ],
    ['a measurement that nobody gave it', () => result(one, held()), 409, 'job'],
  ])('%s is refused in words', async (_name, message, status, argument) => {
    const refused = await post(message());
    expect(refused.answer.error).toMatchObject({ argument, allowed: expect.stringMatching(/\w/) });
    expect(refused.status).toBe(status);
    expect(await site.database.query('SELECT 1 FROM measured')).toEqual([]);
  });
  const held = () => ({ job: crypto.randomUUID(), lease: crypto.randomUUID() });

  test('a message counts once, a result of another paper and one too large not at all', async () => {
    await ask(['gna', 'fna']);
    const message = one.message({ kind: 'claim', machine, papers });
    const first = await post(message);
    expect(first.answer.taken?.slug).toBe('fna');
    const again = await post(message);
    expect(again.status).toBe(409);
    expect(again.answer.error?.argument).toBe('nonce');
    expect(await states()).toEqual(['fna running', 'gna queued']);
    const wrong = await post(result(one, first.answer.taken!));
    expect(wrong.status).toBe(400);
    expect(wrong.answer.error?.allowed).toBe('The result is of gna; asked for: fna.');
    expect((await post(result(two, first.answer.taken!, { slug: 'fna' }))).status).toBe(409);
    const large = one.message({ kind: 'claim', machine, papers, more: 'x'.repeat(4_000_000) });
    expect((await post(large)).status).toBe(413);
    // Said twice because the first answer was lost on the way: stored once.
    for (const times of [1, 2])
      expect((await post(result(one, first.answer.taken!, { slug: 'fna' }))).status, `${times}`).toBe(200);
    expect(await site.database.query('SELECT 1 FROM measured')).toHaveLength(1);
  });

  test('what a silent machine had goes to the next that asks, and fails after three', async () => {
    await ask(['gna']);
    const lost = (await claim()).answer.taken!;
    expect((await claim(two)).answer.taken).toBeNull();
    await lapse();
    expect((await allMeasurements(site.database))[0]).toMatchObject({ silent: true, worker: 'one' });
    const found = (await claim(two)).answer.taken!;
    expect(found.job).toBe(lost.job);
    expect((await post(result(one, lost))).status).toBe(409);
    await lapse();
    await claim();
    await lapse();
    expect((await claim(two)).answer.taken).toBeNull();
    expect((await allMeasurements(site.database))[0]).toMatchObject({
      state: 'failed',
      failure: 'its machine went silent 3 times',
    });
  });

  test('a machine gets what is for it or for any, and what it can measure', async () => {
    await ask(['gna'], { worker: await idOf('two') });
    await ask(['biformer']);
    expect((await claim()).answer.taken).toBeNull();
    expect((await claim(two)).answer.taken?.slug).toBe('gna');
    await expect(ask(['fna'], { worker: crypto.randomUUID() })).rejects.toThrow('no such machine');
  });

  test('measurements are given back, fail, are cancelled and tried again', async () => {
    await ask(['gna']);
    let taken = (await claim()).answer.taken!;
    const say = (fields: object) => post(one.message({ job: taken.job, lease: taken.lease, ...fields }));
    expect((await say({ kind: 'release' })).status).toBe(200);
    expect(await states()).toEqual(['gna queued']);
    taken = (await claim()).answer.taken!;
    await say({ kind: 'failed', text: 'DeviceError: no adapter' });
    expect((await allMeasurements(site.database))[0]).toMatchObject({
      state: 'failed',
      failure: 'DeviceError: no adapter',
      attempts: 1,
    });
    await retryMeasurement(site.database, { id: taken.job, actor: ada });
    taken = (await claim()).answer.taken!;
    await cancelMeasurement(site.database, { id: taken.job, actor: ada });
    expect((await say({ kind: 'progress', text: 'on it' })).status).toBe(409);
    expect((await post(result(one, taken))).status).toBe(409);
    await expect(cancelMeasurement(site.database, { id: taken.job, actor: ada })).rejects.toThrow('neither');
    await ask(['gna']);
    await expect(retryMeasurement(site.database, { id: taken.job, actor: ada })).rejects.toThrow('queued');
  });

  test('nothing is taken from a revoked worker, and its results stay or go', async () => {
    await ask(['gna']);
    await post(result(one, (await claim()).answer.taken!));
    await ask(['fna']);
    await claim();
    const id = await idOf('one');
    await ask(['power-attention'], { worker: id });
    await revokeWorker(site.database, { id, actor: ada, results: false });
    const refused = await claim();
    expect(refused.status).toBe(401);
    expect(refused.answer.error?.allowed).toContain('revoked');
    expect(await states()).toEqual(['fna queued', 'power-attention cancelled', 'gna done']);
    await expect(
      registerWorker(site.database, { name: 'three', publicKey: one.key, actor: ada }),
    ).rejects.toThrow('does not come back');
    expect(await site.database.query('SELECT 1 FROM measured')).toHaveLength(1);
    await revokeWorker(site.database, { id, actor: ada, results: true });
    expect(await site.database.query('SELECT 1 FROM measured')).toEqual([]);
  });

  test('ten workers who ask at once get ten different measurements', async () => {
    const slugs = (
      await site.database.query<{ slug: string }>('SELECT slug FROM papers ORDER BY slug LIMIT 10')
    ).map(({ slug }) => slug);
    await ask(slugs);
    const taken = await Promise.all(
      slugs.map(() => post(one.message({ kind: 'claim', machine, papers: slugs }))),
    );
    expect(taken.map(({ answer }) => answer.taken?.slug).sort()).toEqual(slugs.sort());
  });

  test('strangers are held off after a while, and a worker that shouts too', async () => {
    let last = 401;
    for (let i = 0; i < 70 && last === 401; i++)
      last = (await post(workerKey().message({ kind: 'claim', machine, papers }))).status;
    expect(last).toBe(429);
    await claim();
    await site.database.query('UPDATE limits SET used = 301');
    const refused = await claim();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});
