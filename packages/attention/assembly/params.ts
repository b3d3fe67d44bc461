/** Places of the 32-bit words that describe a call; src/softmax/tiers/wasm-params.ts writes the same order. */
export const COUNTER = 0;
export const TASKS = 1;
export const QUERY = 2;
export const KEY = 3;
export const VALUE = 4;
export const OUTPUT = 5;
export const LOG_SUM_EXP = 6;
export const HEADS = 7;
export const KEY_HEADS = 8;
export const QUERY_TOKENS = 9;
export const KEY_TOKENS = 10;
export const HEAD_DIM = 11;
export const VALUE_DIM = 12;
export const SCALE = 13; // f32
export const HALF_INPUTS = 14;
export const HALF_OUTPUT = 15;
export const CAUSAL = 16;
export const CAUSAL_OFFSET = 17;
export const MODIFIES = 18;
export const TABLES = 19;
export const HONOUR_FULL = 20;
export const QUERY_SLOTS = 21;
export const QUERY_BLOCK = 22;
export const QUERY_ORDER = 23;
export const QUERY_BLOCKS = 24;
export const CHUNKS = 25; // tasks a query block
export const LIST_BATCHES = 26;
export const LIST_HEADS = 27;
export const KEY_KIND = 28; // 0 all, 1 ranges, 2 blocks, 3 boxes, 4 intervals, 5 band
export const KEY_SLOTS = 29;
export const KEY_BLOCK = 30;
export const KEY_ORDER = 31;
export const ROWS = 32; // ranges, rows, boxes, or the numbers of a band
export const BLOCKS = 33; // blocks or runs
export const GRID = 34; // three words
export const STEP = 37; // three words
export const OUTSIDE_ZERO = 40;
export const EPILOGUE = 41;
export const EPILOGUE_SCALE = 42; // f32
export const EPILOGUE_SCALES = 43; // 0: the number
export const EPILOGUE_SCALES_HALF = 44;
export const EPILOGUE_ADD = 45;
export const EPILOGUE_ADD_HALF = 46;
export const KEY_STRIDE = 47; // tokens from one key head to the next
// of a backward call
export const OUTPUT_GRADIENT = 48;
export const HALF_OUTPUT_GRADIENT = 49;
export const ROW_SUMS = 50; // each row's log-sum-exp; 1e30 where it sees no key
export const ROW_MEANS = 51; // rowsum(dO * O) - dL
export const QUERY_GRADIENT = 52;
export const KEY_GRADIENT = 53; // [SPLITS][batch, keyHeads, KEY_STRIDE, headDim]
export const VALUE_GRADIENT = 54;
export const SPLITS = 55; // tasks a key head
export const KEY_HEADS_IN_ALL = 56; // batch * keyHeads
export const HAS_SLOPE = 57; // expression 0 is the slope of the score expression
export const READS = 58; // reads of tables whose gradients are wanted
export const READS_AT = 59; // four words a read: expression of the index, of the partial derivative (-1: 1), first sum, last place
export const SCORE_TABLES = 60;
export const TABLE_SUMS = 61; // f64 [tasks][TABLE_SUMS_A_TASK]
export const TABLE_SUMS_A_TASK = 62;
export const BLOCK_SUMS = 63;
export const BLOCK_SUMS_AT = 64; // first sum
export const PLAN_KEY_BLOCKS = 65;

/** Query rows a task. */
export const ROWS_A_TASK = 64;
/** Keys a tile. */
export const TILE = 64;

let base: usize = 0;

export function usePlace(params: usize): void {
  base = params;
}

export function word(index: i32): i32 {
  return load<i32>(base + ((<usize>index) << 2));
}

export function place(index: i32): usize {
  return <usize>load<u32>(base + ((<usize>index) << 2));
}

export function real(index: i32): f32 {
  return load<f32>(base + ((<usize>index) << 2));
}
