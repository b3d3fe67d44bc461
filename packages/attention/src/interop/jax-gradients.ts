import type * as jaxJs from '@jax-js/jax';
import type { Device } from '../device/device.ts';
import { ArgumentError } from '../errors.ts';
import { type TableHandle, table } from '../mods/expression.ts';
import { type AttendOptions, attend } from '../softmax/attend.ts';
import { attendBackward } from '../softmax/backward.ts';
import type { Tensor } from '../tensor.ts';
import { fromJax, toJax } from './jax.ts';

type JaxArray = jaxJs.Array;
type JaxTree = jaxJs.JsTree<JaxArray>;

/** What is used of the module `@jax-js/jax`: pass the module itself. */
export type Jax = Pick<typeof jaxJs, 'vjp' | 'numpy' | 'tree'>;

/** What a layer hands to its attention, and what passes it by. */
export interface AttentionInputs<State extends JaxTree> {
  query: JaxArray; // float32 [batch, heads, queryTokens, headDim]
  key: JaxArray; // [batch, keyHeads, keyTokens, headDim]
  value: JaxArray; // [batch, keyHeads, keyTokens, valueDim]
  /** Learned numbers that the score expression reads, such as biases. */
  tables?: JaxArray[];
  state: State;
}

/** One attention in a model: jax-js functions before and after it, by jax-js's rule that a function consumes its arguments. */
export interface AttentionLayer<Parameters extends JaxTree, State extends JaxTree> {
  before(parameters: Parameters, state: State): AttentionInputs<State>;
  /** @param attended [batch, heads, queryTokens, valueDim] */
  after(parameters: Parameters, state: State, attended: JaxArray): State;
  /** Of attend(), without an epilogue; `tables` are those that `before` returned. */
  options?(tables: readonly TableHandle[]): AttendOptions;
}

/** A model whose attentions run on our kernels. Data are constants of its functions. */
export interface AttentionModel<Parameters extends JaxTree, State extends JaxTree> {
  start(parameters: Parameters): State;
  layers: readonly AttentionLayer<Parameters, State>[];
  /** A scalar. */
  loss(parameters: Parameters, state: State): JaxArray;
}

/**
 * The loss of a model and its gradients, as jax-js's valueAndGrad would give them if it knew our attention: jax-js has no
 * gradients of functions of ours, so the chain rule is applied here, from part to part, each with its `vjp`. Arrays on
 * the GPUDevice of `device` are read and written there; others pass through the host (see fromJax).
 * @param parameters are consumed, as by jax-js's own functions: pass `tree.ref(parameters)` to keep them
 * @returns loss, and gradients like the parameters
 * @throws ArgumentError as attend() does, or if the loss is no scalar
 */
export async function valueAndGradThroughAttention<Parameters extends JaxTree, State extends JaxTree>(
  jax: Jax,
  device: Device,
  model: AttentionModel<Parameters, State>,
  parameters: Parameters,
): Promise<{ loss: number; gradients: Parameters }> {
  const own = () => jax.tree.ref(parameters);
  const [begun, backStart] = pullback(jax, model.start, [own()]);
  let state = begun;
  const layers: { backBefore: Back; backAfter: Back; attention: Attention }[] = [];
  for (const layer of model.layers) {
    const before = (p: Parameters, s: State) => ({ ...layer.before(p, s) });
    const [inputs, backBefore] = pullback(jax, before, [own(), state]);
    const attention = await Attention.run(device, inputs, layer.options);
    const attended = attention.output(jax);
    const [next, backAfter] = pullback(jax, layer.after, [own(), inputs.state, await attended]);
    layers.push({ backBefore, backAfter, attention });
    state = next;
  }
  const [loss, backLoss] = pullback(jax, model.loss, [own(), state]);
  if (loss.shape.length > 0)
    throw new ArgumentError(
      'valueAndGradThroughAttention',
      'model.loss',
      `of shape [${loss.shape.join(', ')}]`,
      'a scalar',
    );

  const sum = (a: JaxTree, b: JaxTree) => jax.tree.map((x: JaxArray, y: JaxArray) => x.add(y), a, b);
  let [gradients, stateGradient] = backLoss(jax.numpy.ones([]));
  for (const { backBefore, backAfter, attention } of layers.reverse()) {
    const [afterGradients, passed, attended] = backAfter(stateGradient);
    const inputs = await attention.backward(jax, attended as JaxArray);
    const [beforeGradients, earlier] = backBefore({ ...inputs, state: passed });
    gradients = sum(sum(gradients, afterGradients), beforeGradients);
    stateGradient = earlier;
  }
  gradients = sum(gradients, backStart(stateGradient)[0]);
  jax.tree.dispose(parameters);
  return { loss: (await loss.data())[0], gradients: gradients as Parameters };
}

type Back = (cotangent: JaxTree) => JaxTree[];

/** vjp() whose pullback is used once. */
function pullback<Arguments extends JaxTree[], Result extends JaxTree>(
  { vjp }: Jax,
  part: (...given: Arguments) => Result,
  given: Arguments,
): [Result, Back] {
  const [result, back] = vjp(part, given as never) as unknown as [Result, Back & { dispose(): void }];
  return [
    result,
    (cotangent) => {
      const gradients = back(cotangent);
      back.dispose();
      return gradients;
    },
  ];
}

/** One attention of a step: what its backward pass needs stays on our device until then. */
class Attention {
  private readonly device: Device;
  private readonly inputs: readonly [query: Tensor, key: Tensor, value: Tensor];
  private readonly tables: readonly TableHandle[] | undefined;
  private readonly options: AttendOptions;
  private readonly result: { output: Tensor; logSumExp: Tensor };
  /** Of jax-js, where the inputs came from and results go. */
  private readonly backend: string;

  private constructor(parts: {
    device: Device;
    inputs: Attention['inputs'];
    tables: Attention['tables'];
    options: AttendOptions;
    result: Attention['result'];
    backend: string;
  }) {
    this.device = parts.device;
    this.inputs = parts.inputs;
    this.tables = parts.tables;
    this.options = parts.options;
    this.result = parts.result;
    this.backend = parts.backend;
  }

  static async run(
    device: Device,
    { query, key, value, tables }: AttentionInputs<JaxTree>,
    optionsOf: ((tables: readonly TableHandle[]) => AttendOptions) | undefined,
  ): Promise<Attention> {
    const backend = query.device;
    const inputs = [
      await fromJax(device, query),
      await fromJax(device, key),
      await fromJax(device, value),
    ] as const;
    const learned = tables && (await Promise.all(tables.map((each) => fromJax(device, each))));
    const handles = learned?.map((tensor) => table(tensor, tensor.shape));
    const options = optionsOf?.(handles ?? []) ?? {};
    const result = await attend(...inputs, options);
    return new Attention({ device, inputs, tables: handles, options, result, backend });
  }

  output(jax: Jax): Promise<JaxArray> {
    return toJax(this.result.output, jax.numpy, this.backend);
  }

  /** Gradients of what `before` handed over, and the end of this step's tensors. */
  async backward(jax: Jax, outputGradient: JaxArray) {
    const given = await fromJax(this.device, outputGradient);
    const gradients = await attendBackward(...this.inputs, this.result, given, {
      ...this.options,
      tables: this.tables,
    });
    const toArray = (tensor: Tensor): Promise<JaxArray> => toJax(tensor, jax.numpy, this.backend);
    const arrays = {
      query: await toArray(gradients.query),
      key: await toArray(gradients.key),
      value: await toArray(gradients.value),
      ...(this.tables && { tables: await Promise.all(gradients.tables.map(toArray)) }),
    };
    const tables = this.tables?.map(({ table: { data } }) => data as Tensor) ?? [];
    const used = [...this.inputs, ...tables, this.result.output, this.result.logSumExp, given];
    for (const tensor of [...used, gradients.query, gradients.key, gradients.value, ...gradients.tables])
      tensor.dispose();
    return arrays;
  }
}
