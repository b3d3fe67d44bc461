import { useMemo, useState } from 'react';
import { Choice, Range } from '../kit/lab/control-panel.tsx';
import { LabFrame } from '../kit/lab/frame.tsx';
import { Lanes } from '../kit/lab/lanes.tsx';
import { MaskMap } from '../kit/lab/mask-map.tsx';
import { Fact, faster, milliseconds, percent, three } from '../kit/lab/readout.tsx';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { TrialBar, useTrial } from '../kit/lab/trial.tsx';
import { type Options, paper, patternNames } from './paper.ts';
import { countBlocks, equalBudget, type PatternOptions, rowBlocks } from './patterns.ts';
import { PREFILL_BLOCK, type prefill } from './prefill.ts';
import { binaryOnes, coverage, layersToReachAll, reachDepths, relayPath, UNREACHED } from './reachability.ts';

/** Blocks of the sequence on which patterns are compared: long enough for seven powers of two. */
const BLOCKS = 128;

const spec: LabSpec<Options> = {
  paper,
  question:
    'If a block sees only blocks at distance 1, 2, 4, 8, …, how many layers until the last word knows the first?',
  main: ['pattern', 'windowBlocks'],
  hidden: ['causal', 'period'],
  planning: 'once',
  hints: ([tokens]) => ({
    blockSize: { min: 4, max: 128, step: 4 },
    windowBlocks: { max: Math.min(32, Math.ceil(tokens / 8)) },
    sinkBlocks: { max: 8 },
  }),
  tries: [
    {
      label: 'The bare rule: own block and powers of two only',
      settings: { options: { windowBlocks: 1, sinkBlocks: 0 } },
    },
    {
      label: 'A window of the same kind, without the powers',
      settings: { options: { pattern: 'window', windowBlocks: 9 } },
    },
    {
      label: 'Even distances only: half of the text is never reached',
      settings: { options: { pattern: 'dilated', sinkBlocks: 0 } },
    },
  ],
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

function Panels({ view }: { view: LabView<Options> }) {
  return (
    <>
      <section aria-label="Block mask of the text">
        <p className="lab-title">What this text’s words see: queries down, keys across</p>
        {view.pattern && (
          <MaskMap
            pattern={view.pattern}
            tokens={view.data.shape[2]}
            query={view.query}
            label="Plan"
            onQuery={view.selectQuery}
          />
        )}
        <p className="lab-note">
          {view.pattern &&
            `${percent(view.pattern.density)} of all pairs; dense causal attention has half of them.`}
        </p>
      </section>
      <Flood options={view.options} />
      <Prefill view={view} />
    </>
  );
}

/** The receptive field of the last of 128 blocks, layer by layer, and one relay through it. */
function Flood({ options }: { options: Options }) {
  const [layers, setLayers] = useState(2);
  const [source, setSource] = useState(21);
  const budget: PatternOptions = equalBudget(options.pattern, BLOCKS, options);
  const target = BLOCKS - 1;
  const depths = reachDepths(budget, target);
  const { reached, holes } = coverage(depths, layers);
  const { kept, causal } = countBlocks(BLOCKS, budget);
  const path = relayPath(budget, source, target);
  const all = layersToReachAll(budget, BLOCKS);
  const distance = target - source;
  return (
    <section aria-label="Receptive field">
      <p className="lab-title">
        {BLOCKS} blocks, pattern “{options.pattern}” at the budget of the method:{' '}
        {rowBlocks(target, budget).length} blocks in the last row
      </p>
      <Range range={{ min: 0, max: 8, step: 1 }} label="layers" value={layers} onChange={setLayers} />
      <svg
        viewBox={`0 0 ${BLOCKS * 5} 120`}
        role="img"
        aria-label={`After ${layers} layers the last block depends on ${reached} of ${BLOCKS} blocks.`}
      >
        {Array.from(depths, (depth, block) => (
          // biome-ignore lint/a11y/noStaticElementInteractions: a short cut for pointers; the slider below does the same
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: a block is its place
            key={block}
            x={block * 5}
            y={84}
            width={4.4}
            height={30}
            onClick={() => setSource(block)}
            style={{
              fill: fillOf(depth, layers),
              stroke: block === source ? 'var(--lab-ink)' : 'none',
              strokeWidth: 1.5,
            }}
          />
        ))}
        {path.slice(1).map((to, hop) => {
          const [x0, x1] = [path[hop] * 5 + 2.2, to * 5 + 2.2];
          return (
            <path
              key={to}
              d={`M ${x0} 82 Q ${(x0 + x1) / 2} ${82 - Math.min(80, Math.abs(x0 - x1) / 2.5 + 8)} ${x1} 82`}
              style={{ fill: 'none', stroke: 'var(--lab-ink)', strokeWidth: 1.5 }}
            />
          );
        })}
      </svg>
      <Range
        range={{ min: 0, max: target - 1, step: 1 }}
        label="relay from block"
        value={source}
        onChange={setSource}
      />
      <dl>
        <Fact name="Reached">
          {reached} of {BLOCKS} blocks after {layers} layers; {holes} holes between them
        </Fact>
        <Fact name="To reach every block">
          {all === UNREACHED ? 'never: some blocks stay out of reach' : `${all} layers`}
        </Fact>
        <Fact name="Relay">
          {path.length === 0
            ? `none: block ${source} never reaches the last one`
            : `${path.length - 1} layers: ${[...path].reverse().join(' → ')}`}
        </Fact>
        <Fact name="Distance">
          {distance} = <Digits of={distance} /> in binary, {binaryOnes(distance)} ones: as many layers suffice
          without window and sink
        </Fact>
        <Fact name="Work">
          {percent(kept / causal)} of the block pairs of full causal attention ({kept} of {causal})
        </Fact>
      </dl>
      <WhoCanAnswer options={options} source={source} layers={layers} />
    </section>
  );
}

/** Binary digits; a one is a hop of that many blocks. */
function Digits({ of }: { of: number }) {
  const digits = of.toString(2);
  return (
    <span className="lab-digits">
      {[...digits].map((digit, place) => {
        const hop = 2 ** (digits.length - 1 - place);
        return digit === '1' ? (
          <mark key={hop} title={`a hop of ${hop} blocks`}>
            1
          </mark>
        ) : (
          <span key={hop}>0</span>
        );
      })}
    </span>
  );
}

/** A digit lies in block `source`: after how many layers each pattern's last block depends on it. */
function WhoCanAnswer({ options, source, layers }: { options: Options; source: number; layers: number }) {
  const target = BLOCKS - 1;
  const { windowBlocks, sinkBlocks, period } = options;
  const depths = useMemo(
    () =>
      patternNames.map((pattern) => {
        const budget = equalBudget(pattern, BLOCKS, { pattern, windowBlocks, sinkBlocks, period });
        return {
          pattern,
          depths: reachDepths(budget, target),
          all: layersToReachAll(budget, BLOCKS),
        };
      }),
    [windowBlocks, sinkBlocks, period, target],
  );
  return (
    <>
      <p className="lab-title">
        A digit dropped in block {source}: who can answer from the last block after {layers}{' '}
        {layers === 1 ? 'layer' : 'layers'}
      </p>
      <ul className="lab-answers" data-lab="answers">
        {depths.map(({ pattern, depths: found, all }) => {
          const depth = found[source];
          const can = depth !== UNREACHED && depth <= layers;
          return (
            <li key={pattern} className={can ? 'can' : undefined}>
              <b>{pattern}</b> {can ? 'can' : 'cannot'}
              <small>
                {depth === UNREACHED ? 'never will' : `from ${depth} ${depth === 1 ? 'layer' : 'layers'} on`};{' '}
                {all === UNREACHED ? 'some blocks never' : `every block from ${all}`}
              </small>
            </li>
          );
        })}
      </ul>
      <p className="lab-note">
        All at the budget of the method (full sees all). That is what the masks allow, exactly; whether a
        trained model does answer is not yet measured here.
      </p>
    </>
  );
}

/** Lengths of a prompt that are timed. */
const lengths = ['1024', '2048', '4096', '8192', '16384'] as const;

/** The real kernels on a prompt of random numbers: the method, the chosen pattern and dense causal attention. */
function Prefill({ view }: { view: LabView<Options> }) {
  const [tokens, setTokens] = useState<(typeof lengths)[number]>('4096');
  const { pattern, windowBlocks, sinkBlocks } = view.options;
  const trial = useTrial<typeof prefill>(view, 'prefill', {
    tokens: Number(tokens),
    pattern: { pattern, windowBlocks, sinkBlocks },
  });
  const denseMs = trial.value?.find(({ name }) => name === 'dense')?.timeMs;
  return (
    <section aria-label="Prefill">
      <p className="lab-title">Time of a whole prompt</p>
      <Choice<(typeof lengths)[number]>
        label="tokens of the prompt"
        choices={lengths}
        value={tokens}
        onChange={setTokens}
      />
      {trial.value ? (
        <Lanes
          label="Median time of a prefill"
          testId="prefill"
          lanes={trial.value.map(({ name, timeMs, kept, causal }) => ({
            name: name === 'dense' ? 'Dense, causal' : `Pattern “${name}”`,
            value: timeMs,
            shown: timeMs === undefined ? '–' : milliseconds(timeMs),
            own: name === 'power',
            note:
              name === 'dense'
                ? undefined
                : [
                    timeMs && denseMs && faster(denseMs, timeMs),
                    `it visits ${percent(kept / causal)} of the block pairs: ${three(causal / kept)} times at best`,
                  ]
                    .filter(Boolean)
                    .join('; '),
          }))}
        />
      ) : (
        <p className="lab-note">
          Random numbers, 4 heads of 64 channels, blocks of {PREFILL_BLOCK} tokens; the same kernels as above.
        </p>
      )}
      <TrialBar trial={trial} label="Time it" />
    </section>
  );
}

/** The sooner a block is reached, the stronger its colour; grey where it is not yet. */
function fillOf(depth: number, layers: number): string {
  if (depth === UNREACHED || depth > layers) return 'var(--lab-rule)';
  return `color-mix(in srgb, var(--lab-heat) ${Math.max(20, 100 - 16 * depth)}%, var(--lab-paper))`;
}
