import type { AttendResult } from './request.ts';

/** Merge by log-sum-exp, plain loops, float64. */
export async function mergeReference(parts: readonly AttendResult[]) {
  const outputs = await Promise.all(parts.map((part) => part.output.read()));
  const sums = await Promise.all(parts.map((part) => part.logSumExp.read()));
  const valueDim = parts[0].output.shape[3];
  const output = new Float64Array(outputs[0].length);
  const logSumExp = new Float64Array(sums[0].length);
  for (let row = 0; row < logSumExp.length; row++) {
    const maximum = Math.max(...sums.map((sum) => sum[row]));
    if (maximum === -Infinity) {
      logSumExp[row] = -Infinity;
      continue;
    }
    const total = sums.reduce((all, sum) => all + Math.exp(sum[row] - maximum), 0);
    logSumExp[row] = maximum + Math.log(total);
    parts.forEach((_, i) => {
      const weight = Math.exp(sums[i][row] - logSumExp[row]);
      if (weight > 0)
        for (let d = 0; d < valueDim; d++)
          output[row * valueDim + d] += weight * outputs[i][row * valueDim + d];
    });
  }
  return { output, logSumExp };
}
