/** What a thread gives its kernel; the file's name is the import's module. */

/** The compiled mask and score expression of the call, over one tile: scores [count][8] change in place. */
export declare function modify(
  scores: usize,
  count: i32,
  keyTokens: usize,
  keySlots: usize,
  full: usize,
  queryTokens: usize,
  querySlots: usize,
  tables: usize,
  batch: i32,
  head: i32,
): void;

/** Derivative `which` of the score expression, over one tile of scaled products: scores [count][8] become its values. */
export declare function derive(
  which: i32,
  scores: usize,
  count: i32,
  keyTokens: usize,
  keySlots: usize,
  full: usize,
  queryTokens: usize,
  querySlots: usize,
  tables: usize,
  batch: i32,
  head: i32,
): void;

export declare function log(x: f64): f64;
