import type { RunResult } from './engine/messages.ts';

/** `3.14 ms`, `1.20 s`, with three digits. */
export function milliseconds(ms: number): string {
  return ms >= 1000 ? `${three(ms / 1000)} s` : `${three(ms)} ms`;
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let unit = 0;
  while (count >= 1000 && unit < 3) {
    count /= 1000;
    unit++;
  }
  return `${unit === 0 ? count : three(count)} ${units[unit]}`;
}

export function operations(count: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  let unit = 0;
  while (count >= 1000 && unit < 4) {
    count /= 1000;
    unit++;
  }
  return `${three(count)}${units[unit]}FLOP`.replace(/^([\d.]+)FLOP/, '$1 FLOP');
}

export const percent = (share: number) => `${three(100 * share)} %`;

/** Three significant digits without an exponent. */
export function three(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  if (Math.abs(value) < 1e-6) return value.toExponential(1);
  return Number(value.toPrecision(3)).toLocaleString('en', {
    maximumSignificantDigits: 3,
    useGrouping: false,
  });
}

/** `3.70 times faster than dense` or `1.20 times slower than dense`. */
export function faster(denseMs: number, ms: number): string {
  const ratio = denseMs / ms;
  return ratio >= 1
    ? `${three(ratio)} times faster than dense`
    : `${three(1 / ratio)} times slower than dense`;
}

/**
 * What a run measured, in words with units. `planning` says whether the plan follows from the shape alone (then it is
 * made once and the attention by itself is compared) or from the input (then everything is).
 */
export function Readout({
  result,
  planning,
  stale,
}: {
  result: RunResult;
  planning: 'once' | 'every call';
  stale: boolean;
}) {
  const { numbers, machine, shape } = result;
  const mine = planning === 'once' ? numbers.attendMs : numbers.mechanismMs;
  const [, heads, tokens, headDim] = shape;
  const whole = Math.max(0, numbers.mechanismMs - numbers.attendMs);
  return (
    <div className={stale ? 'lab-readout stale' : 'lab-readout'}>
      <dl>
        <Fact name="Time" testId="time">
          <b>{milliseconds(mine)}</b>, {faster(numbers.denseMs, mine)} ({milliseconds(numbers.denseMs)})
        </Fact>
        <Fact name={planning === 'once' ? 'Plan' : 'of it, choosing keys'}>
          {milliseconds(whole)}
          {planning === 'once' ? ' to build; it depends on the shape alone and can be kept' : ''}
        </Fact>
        <Fact name="Attention mass kept" testId="mass">
          <b>{percent(numbers.massKept)}</b> of dense attention’s weight ({numbers.massQueries} queries, all
          heads)
        </Fact>
        <Fact name="Difference from dense" testId="error">
          <b>{percent(numbers.relativeError)}</b> of the output’s norm
        </Fact>
        <Fact name="Work">
          {operations(numbers.flops)} of {operations(numbers.denseFlops)}:{' '}
          {percent(numbers.visitedPairs / numbers.densePairs)} of the pairs
        </Fact>
        <Fact name="Memory">
          {bytes(numbers.extraBytes)} beyond the inputs at most (dense {bytes(numbers.denseExtraBytes)}); plan{' '}
          {bytes(numbers.planBytes)}
        </Fact>
        <Fact name="Ran on" testId="machine">
          {machine.kind === 'webgpu' ? 'WebGPU' : machine.kind === 'wasm' ? 'WebAssembly' : 'reference'}, tier{' '}
          {machine.tier}: {machine.description}
        </Fact>
        <Fact name="Shape">
          {tokens} tokens, {heads} heads of {headDim} channels; median of {numbers.samples.dense.length} runs,
          dense and this in turn
        </Fact>
      </dl>
      {machine.note && <p className="lab-note">{machine.note}</p>}
    </div>
  );
}

/** One line of a list of facts (in a dl). */
export function Fact({
  name,
  children,
  testId,
}: {
  name: string;
  children: React.ReactNode;
  testId?: string;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-lab={testId}>{children}</dd>
    </div>
  );
}
