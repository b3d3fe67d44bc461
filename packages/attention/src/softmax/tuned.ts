import type { Gpu } from '../device/gpu.ts';
import { runtimeName } from '../device/runtime.ts';
import { type UserCache, userCache } from '../device/user-cache.ts';
import { version } from '../version.ts';
import { familyName, familyOf, kernelHash } from './family.ts';
import type { ForwardOf, retileWith, TiledCall } from './retile.ts';
import type { ForcedTile, ForwardKernel } from './tiers/forward.ts';
import { knownTile } from './tiers/tile-lists.ts';

/** What a search found for a family. */
export interface TunedEntry {
  /** null: the tier's own choice is the best. */
  tile: ForcedTile | null;
  /** kernelHash() of the tile: an entry of another text is not used. */
  kernel: string;
  /** Milliseconds of the call that was timed: with this tile, and with the tier's own choice (null: it was dropped). */
  timeMs: number;
  ownChoiceMs: number | null;
  /** The call that was timed: batch times heads, and tokens. */
  batchHeads: number;
  tokens: number;
  /** When, as an ISO date. */
  date: string;
  /** Tiles that computed wrong: never tried again by this version. */
  wrong: ForcedTile[];
}

type Entries = Record<string, TunedEntry>;

/** The text in the user's cache. */
interface TunedFile {
  saccade: string;
  adapters: Record<string, Entries>;
}

/** The tiles that searches found on one adapter, by familyName(). */
export class TunedTiles {
  /** In words: where they are kept between runs; undefined: nowhere here. */
  readonly place: string | undefined;
  /** What was wrong with what was kept; undefined: nothing. */
  note: string | undefined;
  /** Resolves when what earlier runs kept is in use. Never rejects: what cannot be used is left out, with a note. */
  readonly ready: Promise<void>;
  private readonly adapter: string;
  private readonly cache: UserCache | undefined;
  private readonly entries = new Map<string, TunedEntry>();
  /** Names of entries whose kernel is the one that was measured. */
  private readonly current = new Map<string, boolean>();

  constructor(adapter: string, cache: UserCache | undefined) {
    this.adapter = adapter;
    this.cache = cache;
    this.place = cache?.place;
    this.ready = this.load();
  }

  get size(): number {
    return this.entries.size;
  }

  get(name: string): TunedEntry | undefined {
    return this.entries.get(name);
  }

  /** Uses an entry from now on. */
  set(name: string, entry: TunedEntry): void {
    this.entries.set(name, entry);
    this.current.delete(name);
  }

  /** An entry, unless the generator has changed since it was measured. */
  find(name: string, hash: (tile: ForcedTile | undefined) => string): TunedEntry | undefined {
    const entry = this.entries.get(name);
    if (!entry) return undefined;
    let current = this.current.get(name);
    if (current === undefined) {
      current = hash(entry.tile ?? undefined) === entry.kernel;
      this.current.set(name, current);
    }
    return current ? entry : undefined;
  }

  /** Keeps all entries for later runs, beside those of other adapters. Rejects where that cannot be written. */
  async save(): Promise<void> {
    if (!this.cache) return;
    const { adapters, entries } = await this.kept();
    // another process may have tuned meanwhile
    const merged = { ...entries, ...Object.fromEntries(this.entries) };
    const file: TunedFile = { saccade: version, adapters: { ...adapters, [this.adapter]: merged } };
    await this.cache.write(`${JSON.stringify(file, null, 1)}\n`);
  }

  private async load(): Promise<void> {
    const { entries, note } = await this.kept();
    this.note = note;
    // what a search in this run found is newer
    for (const [name, entry] of Object.entries(entries))
      if (!this.entries.has(name)) this.entries.set(name, entry);
  }

  private async kept(): Promise<{ adapters: TunedFile['adapters']; entries: Entries; note?: string }> {
    try {
      const text = await this.cache?.read();
      if (text === undefined) return { adapters: {}, entries: {} };
      const file: unknown = JSON.parse(text);
      if (!isRecord(file) || typeof file.saccade !== 'string' || !isRecord(file.adapters))
        throw new Error('it is no file of tuned tiles');
      if (file.saccade !== version) return { adapters: {}, entries: {} };
      const all = Object.entries(file.adapters[this.adapter] ?? {});
      const good = all.flatMap(([name, given]) => {
        const entry = readEntry(given);
        return entry ? [[name, entry] as const] : [];
      });
      return {
        adapters: file.adapters as TunedFile['adapters'],
        entries: Object.fromEntries(good),
        ...(good.length < all.length && {
          note: `${all.length - good.length} of ${all.length} tuned tiles in ${this.place} cannot be read and are not used`,
        }),
      };
    } catch (error) {
      return {
        adapters: {},
        entries: {},
        note: `the tuned tiles in ${this.place} are not used: ${(error as Error).message}`,
      };
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An entry as it was written, or undefined. */
function readEntry(given: unknown): TunedEntry | undefined {
  if (!isRecord(given) || typeof given.kernel !== 'string' || typeof given.date !== 'string')
    return undefined;
  const tile = given.tile === null ? null : knownTile(given.tile);
  const { timeMs, ownChoiceMs, batchHeads, tokens, wrong } = given;
  const numbers = [timeMs, ownChoiceMs ?? 1, batchHeads, tokens];
  if (tile === undefined || !Array.isArray(wrong)) return undefined;
  if (!numbers.every((number) => typeof number === 'number' && number > 0)) return undefined;
  const tiles = wrong.map(knownTile).filter((known) => known !== undefined);
  return { ...(given as unknown as TunedEntry), tile, wrong: tiles };
}

const tilesOf = new WeakMap<Gpu, TunedTiles>();

/**
 * Begins to read what earlier runs found for this adapter. Calls that come before it is read use the tiers' own choices.
 * @param use retileWith(), given for the same reason as ForwardOf
 * @param dawnFeatures what was asked of Dawn: shaders may be compiled differently
 */
export function openTunedTiles(
  gpu: Gpu,
  use: typeof retileWith,
  dawnFeatures: readonly string[] = [],
): TunedTiles {
  const known = tilesOf.get(gpu);
  if (known) return known;
  const runtime = [runtimeName(), ...dawnFeatures].join(' ');
  const tiles = new TunedTiles(adapterName(gpu, runtime), userCache('tiles'));
  tilesOf.set(gpu, tiles);
  use(gpu, (call, forward) => tunedForward(tiles, call, forward));
  return tiles;
}

/** The tiles found for a device; undefined where it was opened without. */
export function tunedTilesOf(gpu: Gpu): TunedTiles | undefined {
  return tilesOf.get(gpu);
}

function adapterName(gpu: Gpu, runtime: string): string {
  const { vendor, architecture, device, description } = gpu.device.adapterInfo;
  const { maxComputeWorkgroupStorageSize: memory, maxComputeInvocationsPerWorkgroup: threads } = gpu.limits;
  const features = [...gpu.features].sort().join(' ');
  return [
    vendor,
    architecture,
    device,
    description,
    runtime,
    features,
    `${memory} B, ${threads} threads`,
  ].join(' | ');
}

/** The kernel that a search found best for calls like this one, or the tier's own choice. */
function tunedForward(
  tiles: TunedTiles,
  { request, options, blocks, machine, own }: TiledCall,
  forward: ForwardOf,
): ForwardKernel {
  if (tiles.size === 0) return own;
  const family = familyOf(options, blocks, request, own.tier);
  const tile = tiles.find(familyName(family), (one) => kernelHash(family, machine, one, forward))?.tile;
  if (!tile || tile.tier !== own.tier) return own;
  try {
    const found = forward(options, blocks, machine, own.tier, tile);
    return found.kernel.threads <= machine.threads ? found : own;
  } catch (error) {
    // orders and expressions take memory, too: this call has more of them than the one that was timed
    if (error instanceof Error && error.name === 'DeviceError') return own;
    throw error;
  }
}
