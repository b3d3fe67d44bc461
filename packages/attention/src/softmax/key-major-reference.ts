import { finishReference, onHost, softmaxInPlace } from './reference.ts';
import type { AttendRequest } from './request.ts';

/**
 * Attention from the keys' side by plain loops in float64: for each key block the rows that list it, each with a
 * softmax of its own over the block; a partial result joins what the row has so far by log-sum-exp.
 */
export async function keyMajorReference(
  request: AttendRequest,
): Promise<{ output: Float64Array; logSumExp: Float64Array }> {
  const host = await onHost(request);
  const { batch, heads, keyHeads, queryTokens, keyStride, valueDim, plan } = request;
  const output = new Float64Array(batch * heads * queryTokens * valueDim);
  const logSumExp = new Float64Array(batch * heads * queryTokens).fill(-Infinity);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const valueHead = (b * keyHeads + Math.floor(h / (heads / keyHeads))) * keyStride;
      const list = host.plan.listOf(b, h, heads);
      const visitors = new Map<number, { row: number; keys: number[]; scores: number[] }[]>();
      for (let slot = 0; slot < plan.queries.slots; slot++) {
        const token = host.plan.queryToken(slot);
        if (token < 0) continue;
        const row = (b * heads + h) * queryTokens + token;
        const { keys, keySlots, scores } = host.row(b, h, slot);
        keys.forEach((key, i) => {
          const block = host.plan.keyBlock(list, Math.floor(slot / plan.queries.block), keySlots[i]);
          if (!visitors.has(block)) visitors.set(block, []);
          const rows = visitors.get(block)!;
          if (rows.at(-1)?.row !== row) rows.push({ row, keys: [], scores: [] });
          rows.at(-1)!.keys.push(key);
          rows.at(-1)!.scores.push(scores[i]);
        });
      }
      for (const block of [...visitors.keys()].sort((a, b) => a - b)) {
        for (const { row, keys, scores } of visitors.get(block)!) {
          const sum = softmaxInPlace(scores);
          if (sum === -Infinity) continue;
          const base = Math.max(logSumExp[row], sum);
          const total = base + Math.log(Math.exp(logSumExp[row] - base) + Math.exp(sum - base));
          const [before, now] = [Math.exp(logSumExp[row] - total), Math.exp(sum - total)];
          for (let d = 0; d < valueDim; d++) {
            let part = 0;
            for (let p = 0; p < keys.length; p++)
              if (scores[p] !== 0) part += scores[p] * host.value[(valueHead + keys[p]) * valueDim + d];
            const at = row * valueDim + d;
            output[at] = before * output[at] + now * part;
          }
          logSumExp[row] = total;
        }
      }
    }
  }
  await finishReference(request, output);
  return { output, logSumExp };
}
