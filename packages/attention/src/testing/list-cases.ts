import type { Device } from '../device/device.ts';
import { FULL_BLOCK } from '../plan.ts';
import { assignClusters, updateCentroids } from '../select/clusters.ts';
import { compact, groupBySegment, invertLists, segmentMean } from '../select/lists.ts';
import { topK } from '../select/top.ts';
import { compare, type DeviceCase, exactly, listsOf } from './cases.ts';
import { randomArray, tolerances } from './close.ts';

/** Whole numbers, whose products and sums are exact everywhere. */
function wholes(on: Device, seed: number, shape: readonly number[]) {
  return on.tensor(randomArray(seed, shape, 3).map(Math.round), shape, 'f32');
}

function idsOf(on: Device, seed: number, shape: readonly number[], segments: number) {
  const ids = Uint32Array.from(randomArray(seed, shape), (x) => Math.floor(((x + 1) / 2) * segments));
  ids.set([segments, 0xffffffff, 0x80000001], 1); // in no segment
  return on.tensor(ids, shape);
}

/** Lists on the device with empty rows, marks and gaps between the rows. */
function someLists(on: Device, listHeads: number, rowCount: number, columns: number) {
  const rows: number[] = [];
  const blocks: number[] = [];
  for (let row = 0; row < listHeads * rowCount; row++) {
    const chosen = Array.from({ length: columns }, (_, column) => column).filter(
      (column) => row % 5 !== 3 && (column * 7 + row * 3) % 4 === 0,
    );
    rows.push(blocks.length, chosen.length);
    blocks.push(...chosen.map((column) => (column % 3 === 0 ? (column | FULL_BLOCK) >>> 0 : column)), 99_999);
  }
  return {
    rows: on.tensor(Uint32Array.from(rows), [1, listHeads, rowCount, 2]),
    blocks: on.tensor(Uint32Array.from(blocks), [blocks.length]),
    listBatches: 1,
    listHeads,
  };
}

/** Compaction, inversion, segments and clusters. */
export const listCases: DeviceCase[] = [
  ...[1, 64, 600].map((columns) => ({
    name: `compaction of rows of ${columns}`,
    run: (device: Device) =>
      compare(
        device,
        async (on) => {
          const mask = Uint32Array.from(randomArray(4, [2, 3, columns]), (x) => (x > 0.2 ? 7 : 0));
          return listsOf(await compact(on.tensor(mask, [1, 2, 3, columns])));
        },
        exactly,
      ),
  })),
  ...[
    [1, 1],
    [17, 64],
    [129, 300],
  ].map(([rowCount, columns]) => ({
    name: `inversion of ${rowCount} lists of ${columns} blocks, there and back`,
    run: (device: Device) =>
      compare(
        device,
        async (on) => {
          const given = someLists(on, 3, rowCount, columns);
          const inverted = await invertLists(given, columns);
          const [there, back, first] = [
            await listsOf(inverted),
            await listsOf(await invertLists(inverted, rowCount)),
            await listsOf(given),
          ];
          if (back.counts.join() !== first.counts.join() || back.entries.join() !== first.entries.join())
            throw new Error('lists inverted twice are not what they were');
          return there;
        },
        exactly,
      ),
  })),
  {
    name: 'inversion leaves out entries beyond the columns',
    run: (device) =>
      compare(device, async (on) => listsOf(await invertLists(someLists(on, 2, 9, 40), 23)), exactly),
  },
  {
    name: 'inversion of a selection',
    run: (device) =>
      compare(
        device,
        async (_on, tensor) => {
          const selected = await topK(tensor(5, 2, 2, 21, 33), { k: 5 });
          return listsOf(await invertLists(selected, 33));
        },
        exactly,
      ),
  },
  {
    name: 'tokens by segment',
    run: (device) =>
      compare(
        device,
        async (on) => listsOf(await groupBySegment(idsOf(on, 6, [2, 2, 129], 11), 11)),
        exactly,
      ),
  },
  {
    name: 'means of segments, one of them empty, and of shared lists',
    run: (device) =>
      compare(device, async (on, tensor) => {
        const input = tensor(1, 2, 4, 129, 35);
        const own = await groupBySegment(idsOf(on, 6, [2, 4, 129], 5), 7);
        const shared = await groupBySegment(idsOf(on, 7, [1, 2, 129], 64), 64);
        return {
          own: await (await segmentMean(input, own)).read(),
          shared: await (await segmentMean(input, shared)).read(),
        };
      }),
  },
  ...(['dot', 'distance'] as const).map((by) => ({
    name: `clusters by ${by}, with ties`,
    run: (device: Device) =>
      compare(
        device,
        async (on) => ({
          few: await (
            await assignClusters(wholes(on, 1, [1, 2, 70, 12]), wholes(on, 2, [1, 2, 5, 12]), { by })
          ).read(),
          many: await (
            await assignClusters(wholes(on, 3, [1, 2, 70, 3]), wholes(on, 4, [1, 2, 130, 3]), { by })
          ).read(),
        }),
        exactly,
      ),
  })),
  {
    name: 'two steps of k-means',
    run: (device) =>
      compare(
        device,
        async (_on, tensor) => {
          const points = tensor(1, 1, 2, 90, 8);
          let centroids = tensor(2, 1, 2, 7, 8);
          for (let step = 0; step < 2; step++) {
            const clusters = await assignClusters(points, centroids);
            centroids = await updateCentroids(points, clusters, centroids);
          }
          return { centroids: await centroids.read() };
        },
        tolerances.f32,
      ),
  },
];
