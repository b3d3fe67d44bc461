import { expect, test } from 'vitest';
import { fillSample, median, sampleBusy, timeSteady, wake } from './steady.ts';

/** A device whose calls take `cost(time)` ms one after another, and a clock that only it moves. */
function fakeDevice(cost: (time: number) => number) {
  let time = 0;
  let end = 0;
  return {
    timed: {
      work: async () => {
        end += cost(end);
      },
      device: {
        finish: () => {
          const mine = end;
          return new Promise<void>((resolve) =>
            setImmediate(() => {
              time = mine;
              resolve();
            }),
          );
        },
      },
      now: () => time,
    },
    time: () => time,
  };
}

test('a sample is the time of a call, however many fill it', async () => {
  for (const calls of [1, 3]) {
    const device = fakeDevice(() => 2);
    expect(await sampleBusy(device.timed, calls, 4)).toEqual([2, 2, 2, 2]);
    expect(device.time()).toBe(2 * calls * 5); // one batch ahead of the samples
  }
});

test('a sample has as many calls as fill it', async () => {
  for (const [timeMs, calls] of [
    [0.125, 40],
    [3, 2],
    [80, 1],
    [0.0078125, 512],
  ])
    expect(await fillSample(fakeDevice(() => timeMs).timed)).toBe(calls);
});

test('batches whose ends are seen together do not count as short', async () => {
  const device = fakeDevice(() => 1);
  // a clock that moves every 3 ms
  const now = () => Math.floor(device.time() / 3) * 3;
  expect(await fillSample({ ...device.timed, now })).toBeLessThan(8);
});

test('where queueing takes longer than the work, a call takes what its queueing takes', async () => {
  // a processor that needs 3 ms to queue a call of no length, and looks for ends after every other batch
  let time = 0;
  let looks = 0;
  const ends: (() => void)[] = [];
  const timed = {
    work: async () => {
      time += 3;
    },
    device: {
      finish: () =>
        new Promise<void>((resolve) => {
          ends.push(resolve);
          setImmediate(() => {
            if (looks++ % 2 === 1 || ends.length > 1) for (const end of ends.splice(0)) end();
          });
          setTimeout(() => ends.splice(0).forEach((end) => void end()), 20);
        }),
    },
    now: () => time,
  };
  const samples = await sampleBusy(timed, 2, 6);
  expect(samples.length).toBeGreaterThan(0);
  for (const sample of samples) expect(sample).toBe(3);
});

test('the next batch is queued before the last one ends', async () => {
  const order: string[] = [];
  let batch = 0;
  await sampleBusy(
    {
      work: async () => order.push('queued'),
      device: {
        finish: () => {
          const mine = batch++;
          return new Promise((resolve) => setTimeout(resolve, 5)).then(() => {
            order.push(`ended ${mine}`);
          });
        },
      },
    },
    1,
    2,
  );
  expect(order).toEqual(['queued', 'queued', 'ended 0', 'queued', 'ended 1', 'ended 2']);
});

test('a device that was idle is timed once it is at its speed', async () => {
  // four times slow, then twice, then awake
  const slow = (time: number) => (time < 500 ? 4 : time < 900 ? 2 : 1);
  const { medianMs, samplesMs } = await timeSteady(fakeDevice(slow).timed, 5);
  expect(medianMs).toBe(1);
  expect(samplesMs).toEqual([1, 1, 1, 1, 1]);
});

test('a device that is at its speed is not woken again', async () => {
  const device = fakeDevice(() => 1);
  await wake(device.timed);
  const first = device.time();
  expect(first).toBeGreaterThanOrEqual(1000);
  await wake(device.timed);
  expect(device.time() - first).toBeLessThan(400);
});

test('a device that never settles is not waited for without end', async () => {
  let calls = 0;
  const device = fakeDevice((time) => (calls++ % 2 === 0 ? 1 : 9) * (1 + (time % 700)));
  await wake(device.timed);
  expect(device.time()).toBeGreaterThan(3000);
  expect(device.time()).toBeLessThan(60_000);
});

test('a failure on the device and a cancelled signal end the timing', async () => {
  const failed = new Error('lost');
  const work = async () => {};
  await expect(sampleBusy({ work, device: { finish: () => Promise.reject(failed) } }, 1, 3)).rejects.toBe(
    failed,
  );
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(sampleBusy({ work, device: { finish: async () => {} }, signal }, 1, 3)).rejects.toThrow(
    'enough',
  );
});

test('the median of an even count lies between the middle two', () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
});
