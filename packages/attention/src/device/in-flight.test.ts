import { describe, expect, it } from 'vitest';
import { InFlight } from './in-flight.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('operations in flight', () => {
  it('hold back what is freed while they run, and nothing that came after', async () => {
    const inFlight = new InFlight();
    const done: string[] = [];
    inFlight.afterThese(() => done.push('idle'));
    const first = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    const firstEnd = inFlight.during(() => first.promise);
    inFlight.afterThese(() => done.push('during the first'));
    const secondEnd = inFlight.during(() => second.promise);
    inFlight.afterThese(() => done.push('during both'));
    expect(done).toEqual(['idle']);
    first.resolve();
    await firstEnd;
    expect(done).toEqual(['idle', 'during the first']);
    second.resolve();
    await secondEnd;
    expect(done).toEqual(['idle', 'during the first', 'during both']);
  });

  it('let go when they fail', async () => {
    const inFlight = new InFlight();
    let freed = false;
    const end = inFlight.during(() => settled().then(() => Promise.reject(new Error('no'))));
    inFlight.afterThese(() => {
      freed = true;
    });
    await expect(end).rejects.toThrow('no');
    expect(freed).toBe(true);
  });
});
