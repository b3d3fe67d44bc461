import { expect, test } from 'vitest';
import { BufferPool } from './buffer-pool.ts';

const buffer = (size: number, usage = 1) => {
  const made = {
    size,
    usage,
    destroyed: false,
    destroy() {
      made.destroyed = true;
    },
  };
  return made;
};

test('a buffer comes back for its size and usage alone, the last released first', () => {
  const pool = new BufferPool<ReturnType<typeof buffer>>(100);
  const [first, second, other] = [buffer(10), buffer(10), buffer(10, 2)];
  for (const each of [first, second, other]) pool.put(each);
  expect(pool.take(11, 1)).toBeUndefined();
  expect(pool.take(10, 1)).toBe(second);
  expect(pool.take(10, 1)).toBe(first);
  expect(pool.take(10, 1)).toBeUndefined();
  expect(pool.take(10, 2)).toBe(other);
});

test('those that waited longest make room, and what is too large is not kept', () => {
  const pool = new BufferPool<ReturnType<typeof buffer>>(100);
  const [old, older] = [buffer(40), buffer(30)];
  pool.put(older);
  pool.put(old);
  const taken = pool.take(30, 1); // in use again, then released: now the youngest
  pool.put(taken as typeof older);
  const fresh = buffer(60);
  pool.put(fresh);
  expect([old.destroyed, older.destroyed, fresh.destroyed]).toEqual([true, false, false]);
  expect(pool.take(40, 1)).toBeUndefined();
  const huge = buffer(101);
  pool.put(huge);
  expect(huge.destroyed).toBe(true);
  pool.clear();
  expect([older.destroyed, fresh.destroyed]).toEqual([true, true]);
  expect(pool.take(60, 1)).toBeUndefined();
});
