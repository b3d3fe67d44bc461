import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import type { SelectedBlocks, TopKRequest, TopPRequest } from '../request.ts';
import { weightTable } from '../weights.ts';
import type { RowRule } from './row-bindings.ts';
import { MOST_PAIRED, pairsKernel } from './row-pairs.ts';
import { MOST_CACHED, radixKernel } from './row-radix.ts';
import { subgroupOfRows, subgroupsLaunch } from './row-subgroups.ts';
import { scanOf } from './scan.ts';
import { selectSegments } from './segments.ts';
import { candidateShape } from './stages.ts';

/** The kernel for rows of a length, and its workgroups. */
function launchFor(gpu: Gpu, by: RowRule, lines: number, columns: number) {
  const size = by === 'count' ? subgroupOfRows(gpu, columns) : undefined;
  if (size !== undefined) return subgroupsLaunch(size, lines, columns);
  if (columns <= MOST_PAIRED) return { kernel: pairsKernel(by), groups: lines };
  const place = columns <= MOST_CACHED ? 'cached' : 'streamed';
  return { kernel: radixKernel({ by, place, scan: scanOf(gpu) }), groups: lines };
}

async function rowTop(
  gpu: Gpu,
  { scores, candidates }: Pick<TopKRequest, 'scores' | 'candidates'>,
  rule: { by: RowRule; stride: number; share: number; atLeast: number },
): Promise<SelectedBlocks> {
  const [batch, heads, rowCount, columns] = scores.shape;
  const { by, ...numbers } = rule;
  const lines = batch * heads * rowCount;
  const rows = gpu.empty([batch, heads, rowCount, 2], 'u32');
  const blocks = gpu.empty([Math.max(lines * rule.stride, 1)], 'u32');
  const { kernel, groups } = launchFor(gpu, by, lines, columns);
  await gpu.launch(
    kernel,
    {
      scores: (scores as GpuTensor).storage,
      ...(by === 'mass' && { weights: gpu.uploadOnce(weightTable, () => weightTable) }),
      rows: rows.storage,
      blocks: blocks.storage,
      shape: { ...candidateShape(candidates, rowCount, columns), lines, ...numbers },
    } as never,
    groups,
  );
  return { rows, blocks, listBatches: batch, listHeads: heads };
}

/** Few long rows leave most of a GPU idle: then many workgroups share each. */
const FEW_ROWS = 64;
const LONG_ROW = 16_384;

export function topKOnGpu(gpu: Gpu, request: TopKRequest): Promise<SelectedBlocks> {
  const [batch, heads, rows, columns] = request.scores.shape;
  if (columns >= LONG_ROW && batch * heads * rows <= FEW_ROWS)
    return selectSegments(gpu, request, 'rows', request.k);
  return rowTop(gpu, request, { by: 'count', stride: request.k, share: 0, atLeast: 0 });
}

export function topPOnGpu(gpu: Gpu, request: TopPRequest): Promise<SelectedBlocks> {
  const { atMost, share, atLeast } = request;
  return rowTop(gpu, request, { by: 'mass', stride: atMost, share, atLeast });
}
