import type { Device } from '../device/device.ts';
import { ArgumentError } from '../errors.ts';
import { type IntExpression, type Positions, table } from '../mods/expression.ts';
import { type AttendOptions, checkAttend, withListsChecked } from '../softmax/attend.ts';
import type { AttendResult } from '../softmax/request.ts';
import { bytesPerElement, type DType, sameShape, type Tensor } from '../tensor.ts';
import type { BlockSummaries } from './request.ts';

export interface CacheOptions {
  batch?: number; // default 1
  keyHeads: number;
  headDim: number;
  valueDim?: number; // default headDim
  /** Tokens that it has room for. */
  capacity: number;
  /** Of keys and values; default f32 (f64 on the reference, which alone has it). */
  dtype?: 'f64' | 'f32' | 'f16';
  /** Keys whose mean, minimum and maximum are kept together; default 64. */
  block?: number;
  /**
   * Asked by append() when the new tokens do not fit: which tokens to keep, as keep() takes them.
   * @param missing tokens that there is no room for
   */
  onFull?: (cache: KeyValueCache, missing: number) => KeptTokens | Promise<KeptTokens>;
}

/**
 * Tokens to keep, in their new order: u32 [batch, keyHeads, count] on the cache's device, such as a selection writes (one
 * beyond the last counts as the last); or one list for all batches and heads.
 */
export type KeptTokens = Tensor | readonly number[] | Uint32Array;

/**
 * Keys and values of the tokens so far, on a device, for decoding: each step appends its own and attends over all of them.
 * Appending, evicting and the summaries of key blocks stay on the device. All batches and heads hold as many tokens, but
 * each head may have kept others. Close it with dispose().
 */
export class KeyValueCache {
  readonly device: Device;
  readonly batch: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly capacity: number;
  readonly dtype: 'f64' | 'f32' | 'f16';
  readonly block: number;
  /** Mean, minimum and maximum of each key block, f32 [batch, keyHeads, ceil(capacity / block), headDim]; set for the first `blocks`. */
  readonly summaries: BlockSummaries;
  private readonly onFull: CacheOptions['onFull'];
  private keys: Tensor;
  private values: Tensor;
  private places: Tensor;
  private tokens = 0;
  private next = 0;
  private queue: Promise<unknown> = Promise.resolve();

  /** @throws ArgumentError if a size is no integer of at least 1, or rows of halves would share words; DeviceError without memory */
  constructor(device: Device, options: CacheOptions) {
    const { batch = 1, keyHeads, headDim, valueDim = headDim, capacity, block = 64 } = options;
    const { dtype = device.kind === 'reference' ? 'f64' : 'f32' } = options;
    for (const [name, size] of Object.entries({ batch, keyHeads, headDim, valueDim, capacity, block })) {
      if (!Number.isInteger(size) || size < 1)
        throw new ArgumentError('KeyValueCache', name, size, 'an integer of at least 1');
    }
    const dtypes = device.kind === 'reference' ? ['f64', 'f32', 'f16'] : ['f32', 'f16'];
    if (!dtypes.includes(dtype))
      throw new ArgumentError('KeyValueCache', 'dtype', dtype, `${dtypes.join(', ')} on ${device.kind}`);
    if (dtype === 'f16') {
      for (const [name, size] of Object.entries({ headDim, valueDim }))
        if (size % 2 !== 0) throw new ArgumentError('KeyValueCache', name, size, 'an even number with f16');
    }
    this.device = device;
    this.batch = batch;
    this.keyHeads = keyHeads;
    this.headDim = headDim;
    this.valueDim = valueDim;
    this.capacity = capacity;
    this.dtype = dtype;
    this.block = block;
    this.onFull = options.onFull;
    const made: Tensor[] = [];
    const make = (tokens: number, channels: number, of: DType) => {
      const tensor = device.kernels.cache.empty([batch, keyHeads, tokens, channels], of);
      made.push(tensor);
      return tensor;
    };
    const blocks = Math.ceil(capacity / block);
    try {
      this.keys = make(capacity, headDim, dtype);
      this.values = make(capacity, valueDim, dtype);
      this.places = make(capacity, 1, 'u32');
      this.summaries = {
        mean: make(blocks, headDim, 'f32'),
        minimum: make(blocks, headDim, 'f32'),
        maximum: make(blocks, headDim, 'f32'),
      };
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    }
  }

  /** Tokens that it holds, a batch and head. */
  get length(): number {
    return this.tokens;
  }

  /** Position that the next appended token will have: the number of tokens that were appended, less those truncated. */
  get nextPosition(): number {
    return this.next;
  }

  /** Key blocks that hold a token; the last may be short. */
  get blocks(): number {
    return Math.ceil(this.tokens / this.block);
  }

  /** [batch, keyHeads, capacity, headDim]; the first `length` tokens are set. Another tensor after keep(). */
  get key(): Tensor {
    return this.keys;
  }

  /** [batch, keyHeads, capacity, valueDim]; the first `length` tokens are set. Another tensor after keep(). */
  get value(): Tensor {
    return this.values;
  }

  /** u32 [batch, keyHeads, capacity, 1]: the position at which each token was appended. Another tensor after keep(). */
  get positions(): Tensor {
    return this.places;
  }

  /** Bytes of everything that it keeps on the device, and of the part that holds tokens. */
  get memory(): { capacityBytes: number; usedBytes: number } {
    const heads = this.batch * this.keyHeads;
    const token = (this.headDim + this.valueDim) * bytesPerElement(this.dtype) + 4;
    const block = 3 * 4 * this.headDim;
    return {
      capacityBytes: heads * (this.capacity * token + Math.ceil(this.capacity / this.block) * block),
      usedBytes: heads * (this.tokens * token + this.blocks * block),
    };
  }

  /**
   * Adds tokens at the end and brings the summaries of their blocks up to date.
   * @param key [batch, keyHeads, tokens, headDim] of the cache's dtype, on its device
   * @param value [batch, keyHeads, tokens, valueDim]
   * @throws ArgumentError if shapes, dtype or device do not fit, or there is no room (after onFull); nothing changes then
   */
  append(key: Tensor, value: Tensor): Promise<void> {
    return this.inTurn(async () => {
      const count = key.shape[2];
      this.checkTokens('key', key, [this.batch, this.keyHeads, count, this.headDim]);
      this.checkTokens('value', value, [this.batch, this.keyHeads, count, this.valueDim]);
      const missing = () => this.tokens + count - this.capacity;
      if (missing() > 0 && this.onFull) await this.keepNow(await this.onFull(this, missing()));
      if (missing() > 0) {
        throw new ArgumentError(
          'append',
          'key',
          `${count} tokens beside ${this.tokens} that are there`,
          `at most ${this.capacity - this.tokens}: the capacity is ${this.capacity}`,
        );
      }
      if (count === 0) return;
      const first = this.tokens;
      const numbers = new Uint32Array(this.batch * this.keyHeads * count);
      numbers.forEach((_, i) => {
        numbers[i] = this.next + (i % count);
      });
      const places = this.device.tensor(numbers, [this.batch, this.keyHeads, count, 1], 'u32');
      try {
        await this.device.kernels.cache.copyTokens([
          { source: key, target: this.keys, first, count, tokens: undefined },
          { source: value, target: this.values, first, count, tokens: undefined },
          { source: places, target: this.places, first, count, tokens: undefined },
        ]);
      } finally {
        places.dispose();
      }
      this.tokens += count;
      this.next += count;
      await this.summarizeFrom(first);
    });
  }

  /**
   * Evicts: keeps the named tokens, in the order given, and drops all others. Positions stay with their tokens.
   * Takes as much memory again as the larger of keys and values while it works.
   * @throws ArgumentError if the shape does not fit, or a list names a token twice or one that is not there
   */
  keep(tokens: KeptTokens): Promise<void> {
    return this.inTurn(() => this.keepNow(tokens));
  }

  private async keepNow(tokens: KeptTokens): Promise<void> {
    const { batch, keyHeads, device } = this;
    const chosen = 'device' in tokens ? tokens : this.uploadList(tokens);
    try {
      const count = chosen.shape[2];
      if (
        !sameShape(chosen.shape, [batch, keyHeads, count]) ||
        chosen.dtype !== 'u32' ||
        count > this.tokens
      ) {
        throw new ArgumentError(
          'keep',
          'tokens',
          `${chosen.dtype} of shape [${chosen.shape.join(', ')}]`,
          `u32 [${batch}, ${keyHeads}, count] with at most ${this.tokens} a head`,
        );
      }
      const { empty, copyTokens } = device.kernels.cache;
      for (const name of ['keys', 'values', 'places'] as const) {
        const source = this[name];
        const target = empty(source.shape, source.dtype);
        if (count > 0) await copyTokens([{ source, target, first: 0, count, tokens: chosen }]);
        this[name] = target;
        source.dispose();
      }
      this.tokens = count;
      await this.summarizeFrom(0);
    } finally {
      if (chosen !== tokens) chosen.dispose();
    }
  }

  /**
   * Drops the tokens from `length` on, such as drafted ones that were not accepted. Positions go on from there.
   * @throws ArgumentError if length is not an integer from 0 to the tokens there
   */
  truncate(length: number): Promise<void> {
    return this.inTurn(async () => {
      if (!Number.isInteger(length) || length < 0 || length > this.tokens)
        throw new ArgumentError('truncate', 'length', length, `an integer from 0 to ${this.tokens}`);
      this.next -= this.tokens - length;
      this.tokens = length;
      if (length % this.block !== 0) await this.summarizeFrom(length - 1);
    });
  }

  /** In a mask or score expression: the position at which a pair's key was appended. `heads`: those of the query. */
  position(at: Pick<Positions, 'batch' | 'head' | 'key' | 'readInt'>, heads: number): IntExpression {
    const places = table(this.places, [this.batch, this.keyHeads, this.capacity]);
    return at.readInt(places, at.batch, at.head.div(heads / this.keyHeads), at.key);
  }

  /**
   * For each key block, a score that no key of it exceeds: scale · Σ max(q · minimum, q · maximum) over the channels
   * (Quest, Tang et al. 2024). Ready for topK(): blocks without a key have -Infinity.
   * @param query [batch, heads, queryTokens, headDim]
   * @param options.heads `each`: a bound for each query head; `group`: the sum over the heads that share a key head
   * @returns f32 [batch, heads or keyHeads, queryTokens, ceil(capacity / block)]
   * @throws ArgumentError if the query does not fit
   */
  async blockBounds(
    query: Tensor,
    options: { scale?: number; heads?: 'each' | 'group' } = {},
  ): Promise<Tensor> {
    const { scale = 1, heads = 'each' } = options;
    this.checkQuery('blockBounds', query);
    const { summaries, blocks: filled } = this;
    return this.device.kernels.cache.blockBounds({ query, summaries, filled, scale, heads });
  }

  dispose(): void {
    for (const tensor of [this.keys, this.values, this.places, ...Object.values(this.summaries)])
      (tensor as Tensor).dispose();
  }

  /** @throws ArgumentError unless query is [batch, a multiple of keyHeads, queryTokens, headDim] on the cache's device */
  checkQuery(where: string, query: Tensor): void {
    const [batch, heads, , headDim] = query.shape;
    const fits =
      query.shape.length === 4 &&
      batch === this.batch &&
      heads % this.keyHeads === 0 &&
      headDim === this.headDim &&
      query.device === this.device;
    if (!fits) {
      throw new ArgumentError(
        where,
        'query',
        `of shape [${query.shape.join(', ')}] on ${query.device === this.device ? "the cache's" : 'another'} device`,
        `[${this.batch}, a multiple of ${this.keyHeads}, queryTokens, ${this.headDim}] on the cache's device`,
      );
    }
  }

  private checkTokens(name: string, tensor: Tensor, shape: readonly number[]): void {
    const where = 'append';
    if (tensor.disposed) throw new ArgumentError(where, name, 'a disposed tensor', 'a live tensor');
    if (!sameShape(tensor.shape, shape)) {
      throw new ArgumentError(
        where,
        name,
        `of shape [${tensor.shape.join(', ')}]`,
        `[${shape.map((size, axis) => (axis === 2 && name === 'key' ? 'tokens' : size)).join(', ')}]`,
      );
    }
    if (tensor.device !== this.device)
      throw new ArgumentError(where, name, 'on another device', 'the device of the cache');
    if (tensor.dtype !== this.keys.dtype)
      throw new ArgumentError(where, name, `of dtype ${tensor.dtype}`, `${this.keys.dtype}, as the cache`);
  }

  /** One list for all batches and heads. */
  private uploadList(list: readonly number[] | Uint32Array): Tensor {
    const seen = new Set<number>();
    for (const token of list) {
      if (!Number.isInteger(token) || token < 0 || token >= this.tokens)
        throw new ArgumentError(
          'keep',
          'tokens',
          `a list with ${token}`,
          `tokens from 0 to ${this.tokens - 1}`,
        );
      if (seen.has(token))
        throw new ArgumentError('keep', 'tokens', `a list with ${token} twice`, 'each token once');
      seen.add(token);
    }
    const heads = this.batch * this.keyHeads;
    const all = new Uint32Array(heads * list.length);
    for (let head = 0; head < heads; head++) all.set(list, head * list.length);
    return this.device.tensor(all, [this.batch, this.keyHeads, list.length], 'u32');
  }

  private async summarizeFrom(token: number): Promise<void> {
    const { keys: key, tokens: length, block, blocks: endBlock, summaries } = this;
    const firstBlock = Math.floor(token / block);
    if (firstBlock < endBlock)
      await this.device.kernels.cache.summarize({ key, length, block, firstBlock, endBlock, summaries });
  }

  /** Changes happen one after the other, also when the caller does not wait. */
  private inTurn(change: () => Promise<void>): Promise<void> {
    const ended = this.queue.then(change);
    this.queue = ended.catch(() => {});
    return ended;
  }
}

/**
 * attend() over the tokens of a cache, where they lie. `causal` aligns the last query with the last token: append the
 * queries' own keys first. A plan is made for cache.length keys.
 * @param query [batch, heads, queryTokens, headDim]; the cache's keyHeads divide heads
 * @throws as attend()
 */
export async function attendCached(
  query: Tensor,
  cache: KeyValueCache,
  options: AttendOptions = {},
): Promise<AttendResult> {
  return withListsChecked(
    () => checkAttend(query, cache.key, cache.value, options, cache.length),
    (request) => query.device.kernels.attend(request),
  );
}
