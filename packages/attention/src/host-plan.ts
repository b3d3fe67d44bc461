import { FULL_BLOCK, type Indices, type KeyRule, NO_TOKEN, type Plan, queryBlocks } from './plan.ts';

/** A plan whose lists are on the host: for the reference, for labs and for counting. */
export interface HostPlan {
  plan: Plan;
  queryBlocks: number;
  /** Token of query slot s, or -1 for padding. */
  queryToken(slot: number): number;
  /** Which list a (batch, head) uses. */
  listOf(batch: number, head: number, heads: number): number;
  /** Number of key slots that query block `block` visits under list `list`. */
  keyCount(list: number, block: number): number;
  /**
   * Calls `visit(keySlot, token, full)` for each key of the query block, in order. token is -1 for a zero key;
   * skipped keys (padding, outside) are not reported.
   */
  forEachKey(
    list: number,
    block: number,
    visit: (keySlot: number, token: number, full: boolean) => void,
  ): void;
  /** Key block that key slot `keySlot` of a query block lies in; 0 where the plan has no key blocks. */
  keyBlock(list: number, block: number, keySlot: number): number;
}

/** What a query block visits of a band: its own tokens on the diagonal, first and last; keys below `sink`, and from `start` to `end` - 1. */
export function bandSpan(plan: Plan, band: Extract<KeyRule, { kind: 'band' }>, block: number) {
  const { queries, keyTokens, queryTokens } = plan;
  const offset = keyTokens - queryTokens;
  const first = block * queries.block + offset;
  const last = Math.min((block + 1) * queries.block, queries.slots) - 1 + offset;
  const end = Math.min(Math.max(last + band.after + 1, 0), keyTokens);
  const start = Math.min(Math.max(first - band.before, 0), end);
  return { first, last, sink: Math.min(band.sink, start), start, end };
}

/** Reads device lists back (selections) and makes the plan walkable on the host. */
export async function resolvePlan(plan: Plan): Promise<HostPlan> {
  const { queries, keys } = plan;
  const blockCount = queryBlocks(plan);
  const orderOf = (order: Uint32Array | undefined, slot: number) => {
    if (!order) return slot;
    const token = order[slot];
    return token === NO_TOKEN ? -1 : token;
  };
  const base = {
    plan,
    queryBlocks: blockCount,
    queryToken: (slot: number) => orderOf(queries.order, slot),
    listOf: (batch: number, head: number, heads: number) =>
      (plan.listBatches === 1 ? 0 : batch) * plan.listHeads + Math.floor(head / (heads / plan.listHeads)),
    keyBlock: () => 0,
  };
  switch (keys.kind) {
    case 'all':
      return {
        ...base,
        keyCount: () => plan.keyTokens,
        forEachKey: (_list, _block, visit) => {
          for (let token = 0; token < plan.keyTokens; token++) visit(token, token, false);
        },
      };
    case 'ranges': {
      const ranges = await onHost(keys.ranges);
      const { layout } = keys;
      return {
        ...base,
        keyCount: (list, block) => ranges[2 * (list * blockCount + block) + 1],
        forEachKey: (list, block, visit) => {
          const row = 2 * (list * blockCount + block);
          for (let p = 0; p < ranges[row + 1]; p++) {
            const slot = ranges[row] + p;
            const token = slot < layout.slots ? orderOf(layout.order, slot) : -1;
            if (token >= 0) visit(p, token, false);
          }
        },
      };
    }
    case 'blocks': {
      const rows = await onHost(keys.rows);
      const blocks = await onHost(keys.blocks);
      const { layout } = keys;
      return {
        ...base,
        keyCount: (list, block) => rows[2 * (list * blockCount + block) + 1] * layout.block,
        keyBlock: (list, block, keySlot) =>
          blocks[rows[2 * (list * blockCount + block)] + Math.floor(keySlot / layout.block)] & 0x7fffffff,
        forEachKey: (list, block, visit) => {
          const row = 2 * (list * blockCount + block);
          for (let entry = 0; entry < rows[row + 1]; entry++) {
            const marked = blocks[rows[row] + entry];
            const full = (marked & FULL_BLOCK) !== 0;
            const start = (marked & 0x7fffffff) * layout.block;
            for (let i = 0; i < layout.block && start + i < layout.slots; i++) {
              const token = orderOf(layout.order, start + i);
              if (token >= 0) visit(entry * layout.block + i, token, full);
            }
          }
        },
      };
    }
    case 'intervals': {
      const rows = await onHost(keys.rows);
      const runs = await onHost(keys.runs);
      const { layout } = keys;
      const keyCount = (list: number, block: number) => {
        const row = 2 * (list * blockCount + block);
        return rows[row + 1] === 0 ? 0 : runs[2 * (rows[row] + rows[row + 1] - 1) + 1];
      };
      return {
        ...base,
        keyCount,
        forEachKey: (list, block, visit) => {
          const row = 2 * (list * blockCount + block);
          let p = 0;
          for (let run = rows[row]; run < rows[row] + rows[row + 1]; run++) {
            const full = (runs[2 * run] & FULL_BLOCK) !== 0;
            for (let slot = runs[2 * run] & 0x7fffffff; p < runs[2 * run + 1]; slot++, p++) {
              const token = slot < layout.slots ? orderOf(layout.order, slot) : -1;
              if (token >= 0) visit(p, token, full);
            }
          }
        },
      };
    }
    case 'band': {
      const spanOf = (block: number) => bandSpan(plan, keys, block);
      return {
        ...base,
        keyCount: (_list, block) => {
          const { sink, start, end } = spanOf(block);
          return sink + end - start;
        },
        forEachKey: (_list, block, visit) => {
          const { first, last, sink, start, end } = spanOf(block);
          for (let p = 0; p < sink + end - start; p++) {
            const token = p < sink ? p : start + p - sink;
            const inBand = token < keys.sink || token >= last - keys.before;
            visit(p, token, inBand && token <= first + keys.after);
          }
        },
      };
    }
    case 'boxes': {
      const { grid, step, boxes, outside } = keys;
      return {
        ...base,
        keyCount: (_list, block) => boxes[6 * block + 3] * boxes[6 * block + 4] * boxes[6 * block + 5],
        forEachKey: (_list, block, visit) => {
          const at = 6 * block;
          let p = 0;
          for (let t0 = 0; t0 < boxes[at + 3]; t0++) {
            const x0 = boxes[at] + t0 * step[0];
            for (let t1 = 0; t1 < boxes[at + 4]; t1++) {
              const x1 = boxes[at + 1] + t1 * step[1];
              for (let t2 = 0; t2 < boxes[at + 5]; t2++, p++) {
                const x2 = boxes[at + 2] + t2 * step[2];
                const inside = x0 >= 0 && x0 < grid[0] && x1 >= 0 && x1 < grid[1] && x2 >= 0 && x2 < grid[2];
                if (inside) visit(p, (x0 * grid[1] + x1) * grid[2] + x2, false);
                else if (outside === 'zero') visit(p, -1, false);
              }
            }
          }
        },
      };
    }
  }
}

async function onHost(indices: Indices): Promise<Uint32Array> {
  return indices instanceof Uint32Array ? indices : ((await indices.read()) as Uint32Array);
}
