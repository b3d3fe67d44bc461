/** How to run a paper's mechanism from a program in the clone: as it stands, with random tensors on the best device. */
export function snippet(slug: string): string {
  return `import { openDevice } from '@saccade/attention';
import { findRunnable } from '@saccade/papers';
import { randomInputs } from '@saccade/papers/kit';

const paper = findRunnable('${slug}');
const grid = { text: [256], image: [16, 16], clip: [4, 8, 8] }[paper.inputs[0]];
const options = paper.options.parse(paper.fit(grid));
const run = await paper.mechanism();

const device = await openDevice('auto');
const inputs = randomInputs(device, [1, 4, 256, 32]); // [batch, heads, tokens, headDim]
const { output, logSumExp } = await run(inputs, options);
console.log(device.description, output.shape, await output.read());
await device.close();`;
}
