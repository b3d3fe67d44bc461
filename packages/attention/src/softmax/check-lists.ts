import { ArgumentError } from '../errors.ts';
import {
  type BlockLayout,
  FULL_BLOCK,
  type Indices,
  NO_TOKEN,
  type Order,
  type Plan,
  queryBlocks,
} from '../plan.ts';

const where = 'attend';

/**
 * Whether a plan's lists name tokens and blocks that exist: for devices opened with debug. Lists on a device are read back.
 * @throws ArgumentError that names the first place that does not
 */
export async function checkLists(plan: Plan, order: Order = 'query-major'): Promise<void> {
  const { queries, keys, queryTokens, keyTokens } = plan;
  checkOrder('plan.queries', queries, queryTokens);
  if (keys.kind !== 'blocks' && keys.kind !== 'ranges' && keys.kind !== 'intervals') return;
  checkOrder('plan.keys.layout', keys.layout, keyTokens);
  const rowCount = queryBlocks(plan) * plan.listBatches * plan.listHeads;
  if (keys.kind === 'ranges') {
    const ranges = await onHost(keys.ranges);
    checkRows('plan.keys.ranges', ranges, rowCount, keys.layout.slots, 'key slots');
    return;
  }
  if (keys.kind === 'intervals') {
    const [rows, runs] = [await onHost(keys.rows), await onHost(keys.runs)];
    checkRows('plan.keys.rows', rows, rowCount, Math.floor(runs.length / 2), 'runs');
    checkRuns(rows, runs, rowCount, keys.layout.slots);
    return;
  }
  const [rows, blocks] = [await onHost(keys.rows), await onHost(keys.blocks)];
  checkRows('plan.keys.rows', rows, rowCount, blocks.length, 'entries of plan.keys.blocks');
  if (order === 'key-major' && !(keys.blocks instanceof Uint32Array))
    checkUnshared(rows, rowCount, blocks.length);
  const most = Math.ceil(keys.layout.slots / keys.layout.block);
  for (let row = 0; row < rowCount; row++) {
    const [first, count] = [rows[2 * row], rows[2 * row + 1]];
    for (let entry = first; entry < first + count; entry++) {
      // NO_TOKEN has every bit set, FULL_BLOCK's among them, and is no block either
      const block = (blocks[entry] & ~FULL_BLOCK) >>> 0;
      if (block >= most)
        throw new ArgumentError(
          where,
          'plan.keys.blocks',
          `${block} at entry ${entry}, in row ${row}`,
          `0 to ${most - 1}: there are ${most} key blocks`,
        );
    }
  }
}

function checkOrder(name: string, { order }: BlockLayout, tokens: number): void {
  const at = order?.findIndex((token) => token >= tokens && token !== NO_TOKEN) ?? -1;
  if (order && at >= 0)
    throw new ArgumentError(
      where,
      `${name}.order`,
      `${order[at]} in slot ${at}`,
      `tokens below ${tokens}, or NO_TOKEN`,
    );
}

/** A run is its first slot, and the number of the row's slots up to its end. */
function checkRuns(rows: Uint32Array, runs: Uint32Array, rowCount: number, slots: number): void {
  for (let row = 0; row < rowCount; row++) {
    let before = 0;
    for (let run = rows[2 * row]; run < rows[2 * row] + rows[2 * row + 1]; run++) {
      const [start, end] = [(runs[2 * run] & ~FULL_BLOCK) >>> 0, runs[2 * run + 1]];
      if (end < before || start + (end - before) > slots)
        throw new ArgumentError(
          where,
          'plan.keys.runs',
          `${end - before} slots from ${start} on in run ${run}, in row ${row}`,
          `runs within the ${slots} key slots`,
        );
      before = end;
    }
  }
}

/** Rows are pairs of a first entry and a number of entries. */
function checkRows(name: string, rows: Uint32Array, rowCount: number, entries: number, of: string): void {
  if (rows.length < 2 * rowCount)
    throw new ArgumentError(
      where,
      name,
      `${rows.length} numbers`,
      `${2 * rowCount}: two for each of ${rowCount} rows`,
    );
  for (let row = 0; row < rowCount; row++) {
    const [first, count] = [rows[2 * row], rows[2 * row + 1]];
    if (count > 0 && first + count > entries)
      throw new ArgumentError(
        where,
        name,
        `${count} from ${first} on in row ${row}`,
        `ends within the ${entries} ${of}`,
      );
  }
}

/** Under key-major each entry of a list on the device has one place for one row's partial result. */
function checkUnshared(rows: Uint32Array, rowCount: number, entries: number): void {
  const owner = new Int32Array(entries).fill(-1);
  for (let row = 0; row < rowCount; row++) {
    const [first, count] = [rows[2 * row], rows[2 * row + 1]];
    for (let entry = first; entry < first + count; entry++) {
      if (owner[entry] >= 0)
        throw new ArgumentError(
          where,
          'plan.keys.rows',
          `entry ${entry} in rows ${owner[entry]} and ${row}`,
          'entries of one row each where key-major reads lists on the device',
        );
      owner[entry] = row;
    }
  }
}

async function onHost(indices: Indices): Promise<Uint32Array> {
  return indices instanceof Uint32Array ? indices : ((await indices.read()) as Uint32Array);
}
