import { expect, test } from 'vitest';
import type { UserCache } from '../device/user-cache.ts';
import { version } from '../version.ts';
import { knownTile } from './tiers/tile-lists.ts';
import { type TunedEntry, TunedTiles } from './tuned.ts';

/** A cache in memory. */
function memoryCache(text?: string): UserCache & { text: string | undefined } {
  return {
    place: 'memory',
    text,
    async read() {
      return this.text;
    },
    async write(next) {
      this.text = next;
    },
  };
}

const tile = knownTile({ tier: 'matrix', tile: { fragments: 2, rows: 4, columns: 2, keyTile: 32 } })!;
const wrong = knownTile({ tier: 'matrix', tile: { fragments: 1, rows: 8, columns: 1, keyTile: 32 } })!;
const entry: TunedEntry = {
  tile,
  kernel: 'a hash',
  timeMs: 1.5,
  ownChoiceMs: 2,
  batchHeads: 16,
  tokens: 2048,
  date: '2026-11-25T00:00:00.000Z',
  wrong: [wrong],
};

async function open(cache: UserCache | undefined, adapter = 'one adapter') {
  const tiles = new TunedTiles(adapter, cache);
  await tiles.ready;
  return tiles;
}

test('what was found comes back in a later run, for the same adapter alone', async () => {
  const cache = memoryCache();
  const first = await open(cache);
  first.set('dense', entry);
  first.set('causal', { ...entry, tile: null, ownChoiceMs: null });
  await first.save();
  const other = await open(cache, 'another adapter');
  expect([other.size, other.note]).toEqual([0, undefined]);
  other.set('dense', { ...entry, timeMs: 9 });
  await other.save();
  const later = await open(cache);
  expect([later.size, later.note]).toEqual([2, undefined]);
  expect(later.get('dense')).toEqual(entry);
  expect(later.get('dense')?.wrong[0]).toBe(wrong);
  expect(later.get('causal')).toEqual({ ...entry, tile: null, ownChoiceMs: null });
});

test('two processes that tune the same adapter keep what both found', async () => {
  const cache = memoryCache();
  const [first, second] = [await open(cache), await open(cache)];
  first.set('dense', entry);
  second.set('causal', entry);
  await first.save();
  await second.save();
  expect((await open(cache)).size).toBe(2);
});

test('an entry of another text of the kernel is stale', async () => {
  const tiles = await open(memoryCache());
  tiles.set('dense', entry);
  expect(tiles.find('dense', () => 'another hash')).toBeUndefined();
  tiles.set('dense', entry);
  expect(tiles.find('dense', (one) => (one === tile ? 'a hash' : 'of another tile'))).toBe(entry);
  expect(tiles.find('causal', () => 'a hash')).toBeUndefined();
});

test('what another version found is not used, and makes way', async () => {
  const cache = memoryCache();
  const first = await open(cache);
  first.set('dense', entry);
  await first.save();
  cache.text = cache.text!.replace(`"${version}"`, '"0.0.1"');
  const later = await open(cache);
  expect([later.size, later.note]).toEqual([0, undefined]);
  later.set('causal', entry);
  await later.save();
  const last = await open(cache);
  expect([last.size, last.get('dense')]).toEqual([1, undefined]);
});

test.each([
  ['no JSON', '{"saccade": "0.1', /tuned tiles in memory are not used: .*JSON/],
  ['another file', '[1, 2]', /it is no file of tuned tiles/],
  ['nothing of an adapter', JSON.stringify({ saccade: version, adapters: 3 }), /no file of tuned tiles/],
])('a broken cache is passed by with a note, and replaced: %s', async (_name, text, note) => {
  const cache = memoryCache(text);
  const tiles = await open(cache);
  expect([tiles.size, tiles.note]).toEqual([0, expect.stringMatching(note)]);
  tiles.set('dense', entry);
  await tiles.save();
  expect((await open(cache)).size).toBe(1);
});

test('entries that cannot be read are left out, the others used', async () => {
  const cache = memoryCache();
  const first = await open(cache);
  first.set('good', entry);
  first.set('of an unknown tile', { ...entry, tile: { ...tile, tile: { rows: 1e9 } } as never });
  first.set('without a time', { ...entry, timeMs: '2' as never });
  first.set('null', null as never);
  await first.save();
  const later = await open(cache);
  expect(later.get('good')).toEqual(entry);
  expect([later.size, later.note]).toEqual([
    1,
    '3 of 4 tuned tiles in memory cannot be read and are not used',
  ]);
});

test('a cache that cannot be read is a note, one that cannot be written an error', async () => {
  const fail = () => Promise.reject(new Error('EACCES'));
  const tiles = await open({ place: 'a closed place', read: fail, write: fail });
  expect(tiles.note).toBe('the tuned tiles in a closed place are not used: EACCES');
  tiles.set('dense', entry);
  expect(tiles.get('dense')).toBe(entry);
  await expect(tiles.save()).rejects.toThrow('EACCES');
  const nowhere = await open(undefined);
  await nowhere.save();
  expect([nowhere.place, nowhere.note]).toEqual([undefined, undefined]);
});
