import { LabFrame } from '../kit/lab/frame.tsx';
import { MaskMap } from '../kit/lab/mask-map.tsx';
import { Fact, percent, three } from '../kit/lab/readout.tsx';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { bandWidth, blockMask } from './block-mask.ts';
import { DenoisePanel } from './denoise-panel.tsx';
import { HeadsPanel } from './heads-panel.tsx';
import { type Options, paper } from './paper.ts';
import { withText } from './text-tokens.ts';
import { bandWidths, countEntries } from './token-mask.ts';

const spec: LabSpec<Options> = {
  paper,
  question:
    'How much of a clip must a patch see, if what is far in time may be seen through a narrower slit?',
  main: ['mask', 'decay'],
  hidden: ['textTokens'],
  planning: 'once',
  sizes: {
    clip: [
      [12, 8, 12],
      [12, 10, 16],
      [12, 16, 16],
      [12, 16, 24],
      [24, 16, 16],
      [48, 8, 12],
    ],
  },
  hints: () => ({ decay: { min: 0.1, max: 4, step: 0.05 }, blockSize: { min: 8, max: 128, step: 8 } }),
  tries: [
    { label: 'The equations, token by token', settings: { options: { mask: 'tokens' } } },
    {
      label: 'Narrow bands: decay 0.2, as for a large video model',
      settings: { options: { mask: 'blocks', decay: 0.2 } },
    },
    { label: 'No sink: the first frame fades like the others', settings: { options: { sink: false } } },
  ],
  extras: {
    title: 'Text after the clip',
    controls: [
      {
        kind: 'range',
        name: 'words',
        label: 'text tokens',
        help: 'words of a prompt: they see everything and are seen by everything',
        unit: 'tokens',
        min: 0,
        max: 128,
        step: 8,
      },
    ],
    defaults: { words: 0 },
    options: ({ words }) => ({ textTokens: words }),
    extend: (data, { words }) => withText(data, Number(words)),
  },
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

function Panels({ view }: { view: LabView<Options> }) {
  const tokens = view.data.shape[2];
  return (
    <>
      <Bands view={view} />
      <section aria-label="Mask of the clip">
        <p className="lab-title">The whole mask: queries down, keys across, frame after frame</p>
        {view.pattern && (
          <MaskMap
            pattern={view.pattern}
            tokens={tokens}
            query={view.query}
            label="Mask"
            onQuery={view.selectQuery}
          />
        )}
        <Counts view={view} />
      </section>
      <HeadsPanel />
      <DenoisePanel view={view} />
    </>
  );
}

const geometryOf = (grid: readonly number[]) => ({ frames: grid[0], perFrame: grid[1] * grid[2] });

/** How wide the band is in each frame, seen from the query's. */
function Bands({ view }: { view: LabView<Options> }) {
  const { grid, options, query } = view;
  const { frames, perFrame } = geometryOf(grid);
  const own = Math.floor(query / perFrame);
  const byDistance = bandWidths(frames, perFrame);
  const widths = Array.from({ length: frames }, (_, frame) => {
    if (options.sink && frame === 0) return perFrame;
    const distance = Math.abs(frame - own);
    return options.mask === 'blocks' ? bandWidth(distance, { ...options, perFrame }) : byDistance[distance];
  });
  const step = 600 / frames;
  return (
    <section aria-label="Bands">
      <p className="lab-title">
        Half-width of the band in each frame, in positions (query in frame {own + 1})
      </p>
      <svg
        viewBox="0 0 600 190"
        role="img"
        aria-label={`From frame 1 to ${frames}: ${widths.map((width) => (width < 0 ? 'not seen' : Math.round(width))).join(', ')}`}
      >
        {widths.map((width, frame) => {
          const height = width < 0 ? 0 : Math.max(3, (150 * Math.min(width, perFrame)) / perFrame);
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a frame is its place
            <g key={frame}>
              <rect
                x={frame * step + 2}
                y={160 - height}
                width={step - 4}
                height={height}
                style={{ fill: frame === own ? 'var(--lab-ink)' : 'var(--lab-heat)' }}
              />
              <text
                x={(frame + 0.5) * step}
                y={180}
                textAnchor="middle"
                style={{ fill: 'var(--lab-muted)', fontSize: Math.min(14, step / 2) }}
              >
                {width < 0 ? '–' : Math.round(Math.min(width, perFrame))}
              </text>
            </g>
          );
        })}
        <line x1={0} x2={600} y1={160.5} y2={160.5} style={{ stroke: 'var(--lab-muted)' }} />
      </svg>
      <p className="lab-note">
        A band halves each time the distance in frames doubles
        {options.mask === 'blocks' ? ', but never below a block' : ''}; then whole frames drop out (–).
        {options.sink ? ' The first frame is a sink: seen whole.' : ''}
      </p>
    </section>
  );
}

function Counts({ view }: { view: LabView<Options> }) {
  const { options, grid } = view;
  const { frames, perFrame } = geometryOf(grid);
  const n = frames * perFrame;
  const { sink, blockSize, decay, textTokens } = options;
  const blocks =
    options.mask === 'blocks'
      ? blockMask({ frames, perFrame, blockSize, decay, sink, textTokens })
      : undefined;
  const all = (n + textTokens) ** 2;
  const entries = blocks
    ? blocks.keptBlocks * blockSize ** 2
    : countEntries({ frames, perFrame, sink }) + all - n ** 2;
  // the paper's bound: 4 s n log2 f
  const bound = 4 * perFrame * n * Math.log2(Math.max(frames, 2));
  return (
    <dl>
      <Fact name="Pairs kept">
        {three(entries / 1e6)} million of {three(all / 1e6)} million: {percent(Math.min(1, entries / all))}
        {textTokens > 0 && `, among them all those of ${textTokens} text tokens`}
      </Fact>
      <Fact name="Bound n log n">
        {three(bound / 1e6)} million (4 · positions · tokens · log₂ frames)
        {bound > n ** 2 ? '; a clip this short lies below the bound’s use' : ''}
      </Fact>
      {blocks && (
        <Fact name="Blocks">
          {blocks.keptBlocks} of {blocks.side ** 2}; {blocks.forcedDiagonals} on the diagonal kept though the
          rule would drop them
        </Fact>
      )}
    </dl>
  );
}
