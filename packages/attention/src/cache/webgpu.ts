import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { readNumber, type Storage } from '../softmax/tiers/access.ts';
import { bytesPerElement, sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { read, uniform, write } from '../wgsl/bindings.ts';
import { kept } from '../wgsl/kept.ts';
import type { BlockBoundsRequest, CacheKernels, CopyTokensRequest, SummarizeRequest } from './request.ts';

const THREADS = 128;

const copyKernel = kept((element: 'u32' | 'vec4<u32>', choice: 'first' | 'given') =>
  assemble({
    name: 'copy-tokens',
    bindings: {
      source: read(element), // [heads, sourceTokens, width]
      destination: write(element), // [heads, targetTokens, width]
      ...(choice === 'given' && { tokens: read('u32') }), // [heads, count]
      shape: uniform({
        sourceTokens: 'u32',
        targetTokens: 'u32',
        first: 'u32',
        count: 'u32',
        width: 'u32', // elements of a token
        elements: 'u32',
      }),
    },
    constants: { THREADS },
    stages: [
      {
        first: 'fn tokenOf(head: u32, i: u32) -> u32 { return i; }',
        given:
          'fn tokenOf(head: u32, i: u32) -> u32 { return min(tokens[head * shape.count + i], shape.sourceTokens - 1u); }',
      }[choice],
    ],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let column = at % shape.width;
  let i = at / shape.width % shape.count;
  let head = at / shape.width / shape.count;
  let read = (head * shape.sourceTokens + tokenOf(head, i)) * shape.width + column;
  destination[(head * shape.targetTokens + shape.first + i) * shape.width + column] = source[read];`,
  }),
);

function copyLaunch({ source, target, first, count, tokens }: CopyTokensRequest) {
  const [batch, heads, sourceTokens, channels] = source.shape;
  const words = (channels * bytesPerElement(source.dtype)) / 4;
  const wide = words % 4 === 0;
  const width = wide ? words / 4 : words;
  const elements = batch * heads * count * width;
  const storageOf = (tensor: unknown) => (tensor as GpuTensor).storage;
  return {
    kernel: copyKernel(wide ? 'vec4<u32>' : 'u32', tokens ? 'given' : 'first'),
    values: {
      source: storageOf(source),
      destination: storageOf(target),
      ...(tokens && { tokens: storageOf(tokens) }),
      shape: { sourceTokens, targetTokens: target.shape[2], first, count, width, elements },
    },
    groups: Math.ceil(elements / THREADS),
  };
}

const elements = { f32: 'f32', f16: 'u32' } as const;

const summarizeKernel = kept((storage: Storage) =>
  assemble({
    name: 'summarize-blocks',
    bindings: {
      key: read(elements[storage]), // [heads, capacity, headDim]
      mean: write('f32'), // [heads, blocks, headDim]
      minimum: write('f32'),
      maximum: write('f32'),
      shape: uniform({
        capacity: 'u32',
        length: 'u32',
        block: 'u32',
        blocks: 'u32',
        firstBlock: 'u32',
        changed: 'u32',
        headDim: 'u32',
        elements: 'u32',
      }),
    },
    constants: { THREADS },
    stages: [readNumber('key', storage)],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let d = at % shape.headDim;
  let block = shape.firstBlock + at / shape.headDim % shape.changed;
  let head = at / shape.headDim / shape.changed;
  let first = block * shape.block;
  let end = min(first + shape.block, shape.length);
  var sum = 0.0;
  var least = 0.0;
  var most = 0.0;
  for (var token = first; token < end; token++) {
    let number = keyNumber((head * shape.capacity + token) * shape.headDim + d);
    sum += number;
    least = select(min(least, number), number, token == first);
    most = select(max(most, number), number, token == first);
  }
  let to = (head * shape.blocks + block) * shape.headDim + d;
  mean[to] = sum / f32(end - first);
  minimum[to] = least;
  maximum[to] = most;`,
  }),
);

const boundsKernel = kept((storage: Storage) =>
  assemble({
    name: 'block-bounds',
    bindings: {
      query: read(elements[storage]), // [batch, heads, queryTokens, headDim]
      minimum: read('f32'), // [batch, keyHeads, blocks, headDim]
      maximum: read('f32'),
      bounds: write('u32'), // bits of f32 [batch, heads / summed, queryTokens, blocks]
      shape: uniform({
        queryTokens: 'u32',
        headDim: 'u32',
        blocks: 'u32',
        filled: 'u32',
        group: 'u32', // query heads of a key head
        summed: 'u32', // query heads that one bound adds up
        elements: 'u32',
        scale: 'f32',
      }),
    },
    constants: { THREADS, MINUS_INFINITY: 0xff800000 },
    stages: [readNumber('query', storage)],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let block = at % shape.blocks;
  if (block >= shape.filled) {
    bounds[at] = MINUS_INFINITY;
    return;
  }
  let token = at / shape.blocks % shape.queryTokens;
  let firstHead = at / shape.blocks / shape.queryTokens * shape.summed;
  let key = (firstHead / shape.group * shape.blocks + block) * shape.headDim;
  var sum = 0.0;
  for (var head = firstHead; head < firstHead + shape.summed; head++) {
    let row = (head * shape.queryTokens + token) * shape.headDim;
    for (var d = 0u; d < shape.headDim; d++) {
      let number = shape.scale * queryNumber(row + d);
      sum += max(number * minimum[key + d], number * maximum[key + d]);
    }
  }
  bounds[at] = bitcast<u32>(sum);`,
  }),
);

/** The kernels of a cache on WebGPU: nothing visits the host. */
export function cacheKernelsOnGpu(gpu: Gpu): CacheKernels {
  return {
    empty: (shape, dtype) => gpu.empty(shape, dtype),
    copyTokens: async (requests) => {
      const launches = requests.map(copyLaunch).filter(({ groups }) => groups > 0);
      if (launches.length > 0) await gpu.launchTogether(launches);
    },
    summarize: (request) => summarizeOnGpu(gpu, request),
    blockBounds: (request) => blockBoundsOnGpu(gpu, request),
  };
}

async function summarizeOnGpu(gpu: Gpu, request: SummarizeRequest): Promise<void> {
  const { length, block, firstBlock, endBlock, summaries } = request;
  const key = request.key as GpuTensor;
  const [batch, heads, capacity, headDim] = key.shape;
  const changed = endBlock - firstBlock;
  const size = batch * heads * changed * headDim;
  const [mean, minimum, maximum] = [summaries.mean, summaries.minimum, summaries.maximum] as GpuTensor[];
  await gpu.launch(
    summarizeKernel(key.dtype as Storage),
    {
      key: key.storage,
      mean: mean.storage,
      minimum: minimum.storage,
      maximum: maximum.storage,
      shape: { capacity, length, block, blocks: mean.shape[2], firstBlock, changed, headDim, elements: size },
    },
    Math.ceil(size / THREADS),
  );
}

async function blockBoundsOnGpu(gpu: Gpu, request: BlockBoundsRequest): Promise<GpuTensor> {
  const { summaries, filled, scale } = request;
  const query = request.query as GpuTensor;
  const [minimum, maximum] = [summaries.minimum, summaries.maximum] as GpuTensor[];
  const [batch, heads, queryTokens, headDim] = query.shape;
  const [, keyHeads, blocks] = minimum.shape;
  const group = heads / keyHeads;
  const summed = request.heads === 'group' ? group : 1;
  const bounds = gpu.empty([batch, heads / summed, queryTokens, blocks], 'f32');
  const size = sizeOf(bounds.shape);
  await gpu.launch(
    boundsKernel(query.dtype as Storage),
    {
      query: query.storage,
      minimum: minimum.storage,
      maximum: maximum.storage,
      bounds: bounds.storage,
      shape: { queryTokens, headDim, blocks, filled, group, summed, elements: size, scale },
    },
    Math.ceil(size / THREADS),
  );
  return bounds;
}
