import * as jax from '@jax-js/jax';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import { expectClose, randomArray } from '../testing/close.ts';
import { type AttentionModel, valueAndGradThroughAttention } from './jax-gradients.ts';

const { numpy: np, tree } = jax;
type JaxArray = jax.Array;

beforeAll(async () => {
  await jax.init('wasm');
  jax.defaultDevice('wasm');
});

const [batch, heads, tokens, channels, headDim] = [2, 2, 6, 8, 4];
const layers = 2;
const random = (seed: number, ...shape: number[]) =>
  np.array(Float32Array.from(randomArray(seed, shape)), { shape });

/** Two layers of attention with a residual stream; a learned bias for each head and distance in their scores. */
function parametersOf(seed: number) {
  return Array.from({ length: layers }, (_, layer) => ({
    query: random(seed + 10 * layer, channels, heads, headDim),
    key: random(seed + 10 * layer + 1, channels, heads, headDim),
    value: random(seed + 10 * layer + 2, channels, heads, headDim),
    out: random(seed + 10 * layer + 3, heads, headDim, channels),
    bias: random(seed + 10 * layer + 4, heads, tokens),
  }));
}
type Parameters = ReturnType<typeof parametersOf>;

const input = () => random(90, batch, tokens, channels);
/** Every token shall become what the first one is. */
const target = () => np.broadcastTo(input().slice([], [0, 1]), [batch, tokens, channels]);
const meanSquare = (x: JaxArray) => {
  const difference = x.sub(target());
  return np.mean(np.square(difference));
};
const project = (x: JaxArray, weights: JaxArray) => np.einsum('btc,chd->bhtd', x, weights);
const join = (attended: JaxArray, weights: JaxArray) => np.einsum('bhtd,hdc->btc', attended, weights);

const used = <K extends keyof Parameters[number]>(parameters: Parameters, layer: number, ...names: K[]) => {
  const taken = names.map((name) => parameters[layer][name].ref);
  tree.dispose(parameters);
  return taken;
};

const model: AttentionModel<Parameters, JaxArray> = {
  start: (parameters) => {
    tree.dispose(parameters);
    return input();
  },
  layers: Array.from({ length: layers }, (_, layer) => ({
    before: (parameters, state) => {
      const [query, key, value, bias] = used(parameters, layer, 'query', 'key', 'value', 'bias');
      return {
        query: project(state.ref, query),
        key: project(state.ref, key),
        value: project(state.ref, value),
        tables: [bias],
        state,
      };
    },
    after: (parameters, state, attended) => state.add(join(attended, used(parameters, layer, 'out')[0])),
    options: ([bias]) => ({
      causal: true,
      score: ({ score, head, query, key, read }) => score.add(read(bias, head, query.sub(key))),
    }),
  })),
  loss: (parameters, state) => {
    tree.dispose(parameters);
    return meanSquare(state);
  },
};

/** The same in jax-js alone, with the whole matrix of scores. */
function naiveLoss(parameters: Parameters): JaxArray {
  let state = input();
  for (const { query, key, value, out, bias } of parameters) {
    const [q, k, v] = [query, key, value].map((weights) => project(state.ref, weights));
    const scores = np.einsum('bhid,bhjd->bhij', q, k).mul(headDim ** -0.5);
    // distance i - j as a one-hot of the bias' columns
    const distances = Float32Array.from({ length: tokens ** 3 }, (_, at) => {
      const [i, j, d] = [Math.floor(at / tokens ** 2), Math.floor(at / tokens) % tokens, at % tokens];
      return i - j === d ? 1 : 0;
    });
    const oneHot = np.array(distances, { shape: [tokens, tokens, tokens] });
    const hidden = Float32Array.from({ length: tokens ** 2 }, (_, at) =>
      at % tokens > Math.floor(at / tokens) ? -1e9 : 0,
    );
    const masked = scores
      .add(np.einsum('hd,ijd->hij', bias, oneHot))
      .add(np.array(hidden, { shape: [tokens, tokens] }));
    const attended = np.einsum('bhij,bhjd->bhid', jax.nn.softmax(masked, -1), v);
    state = state.add(join(attended, out));
  }
  return meanSquare(state);
}

const close = { absolute: 1e-5, relative: 1e-4, rms: 1e-5 };

describe('a jax-js model with our attention', () => {
  test.each(['wasm', 'reference'] as const)('has the loss and gradients of jax-js on %s', async (kind) => {
    const device = await openDevice(kind, kind === 'wasm' ? { threads: 1 } : {});
    const before = device.memory.currentBytes;
    const { loss, gradients } = await valueAndGradThroughAttention(jax, device, model, parametersOf(1));
    const [expectedLoss, expected] = jax.valueAndGrad(naiveLoss)(parametersOf(1));
    expectClose([loss], await expectedLoss.data(), close, 'loss');
    for (const [layer, ours] of gradients.entries())
      for (const name of Object.keys(ours) as (keyof typeof ours)[])
        expectClose(
          await ours[name].data(),
          await expected[layer][name].data(),
          close,
          `${name} of layer ${layer}`,
        );
    expect(device.memory.currentBytes).toBe(before);
    await device.close();
  });

  test('learns: two layers copy the first token to all others', async () => {
    const device = await openDevice('wasm', { threads: 1 });
    let parameters = tree.map((x: JaxArray) => x.mul(0.3), parametersOf(5)) as Parameters;
    const losses: number[] = [];
    for (let step = 0; step < 25; step++) {
      const { loss, gradients } = await valueAndGradThroughAttention(
        jax,
        device,
        model,
        tree.ref(parameters),
      );
      losses.push(loss);
      parameters = tree.map(
        (x: JaxArray, gradient: JaxArray) => x.sub(gradient.mul(1.2)),
        parameters,
        gradients,
      ) as Parameters;
    }
    tree.dispose(parameters);
    await device.close();
    expect(losses[losses.length - 1]).toBeLessThan(0.5 * losses[0]);
  });

  test('refuses a loss that is no scalar', async () => {
    const device = await openDevice('wasm', { threads: 1 });
    const wrong = {
      ...model,
      loss: (parameters: Parameters, state: JaxArray) => {
        tree.dispose(parameters);
        return state;
      },
    };
    const call = valueAndGradThroughAttention(jax, device, wrong, parametersOf(1));
    await expect(call).rejects.toThrow(ArgumentError);
    await expect(call).rejects.toThrow(/model.loss is of shape \[2, 6, 8\]; allowed: a scalar/);
    await device.close();
  });
});
