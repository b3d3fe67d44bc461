import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLedger, readLedger } from './ledger.ts';
import { countVerdicts } from './queries/verdicts.ts';
import { entry, ledgerFile, storeLedger } from './testing/fixtures.ts';

let results: string;
beforeEach(() => {
  results = mkdtempSync(join(tmpdir(), 'saccade-results-'));
});
afterEach(() => rmSync(results, { recursive: true, force: true }));
const silent = (message: string) => expect.fail(message);

describe('the ledger', () => {
  test('a database that is away leaves what was read before, and takes nobody with it', async () => {
    let away = false;
    let asked = 0;
    const database = {
      query: async (text: string) => {
        asked++;
        if (away) throw new Error('the database is away');
        return text.includes('AS version') ? [{ version: '0 0' }] : [];
      },
    } as unknown as Parameters<typeof createLedger>[1];
    const unheard: unknown[] = [];
    const hear = (reason: unknown) => unheard.push(reason);
    process.on('unhandledRejection', hear);
    try {
      const ledger = createLedger({ verdicts: [], file: () => undefined }, database);
      const before = await ledger.read();
      away = true;
      await new Promise((resolve) => setTimeout(resolve, 1100));
      expect(await ledger.read()).toBe(before);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(asked).toBe(3);
      expect(unheard).toEqual([]);
    } finally {
      process.off('unhandledRejection', hear);
    }
  });

  test('is empty where there are no results', () => {
    expect(readLedger(join(results, 'none'), silent).verdicts).toEqual([]);
  });

  test('has a row a claim, and the file with the samples', async () => {
    await storeLedger(results, ledgerFile());
    const ledger = readLedger(results, silent);
    expect(ledger.verdicts.map(({ verdict }) => verdict)).toEqual([
      'holds',
      'does not hold',
      'holds in direction',
    ]);
    expect(JSON.parse(ledger.file('test-machine', 'power-attention')!).entries[0].samples.denseMs).toEqual([
      3, 3.1, 3.2,
    ]);
    expect(ledger.file('test-machine', '../power-attention')).toBeUndefined();
  });

  test('a broken file is named and does not hide the others', async () => {
    await storeLedger(results, ledgerFile());
    mkdirSync(join(results, 'other'));
    writeFileSync(join(results, 'other/fna.json'), '{"slug":');
    writeFileSync(join(results, 'other/gna.json'), '{"slug":"gna"}');
    const complaints: string[] = [];
    expect(readLedger(results, (message) => complaints.push(message)).verdicts).toHaveLength(3);
    expect(complaints).toHaveLength(2);
    expect(complaints[0]).toContain('results/other/fna.json');
  });

  test('a claim counts once: full before quick, measured before not', async () => {
    await storeLedger(results, ledgerFile({ entries: [entry()] }));
    const quick = { ...ledgerFile().machine, id: 'quick' };
    await storeLedger(
      results,
      ledgerFile({
        machine: quick,
        quick: true,
        date: '2026-11-26T00:00:00.000Z',
        entries: [entry({ verdict: 'does not hold' })],
      }),
    );
    await storeLedger(
      results,
      ledgerFile({
        machine: { ...quick, id: 'third' },
        date: '2026-11-27T00:00:00.000Z',
        entries: [entry({ verdict: 'not yet measured' })],
      }),
    );
    expect(countVerdicts(readLedger(results, silent).verdicts).get('power-attention')).toEqual({ holds: 1 });
  });
});
