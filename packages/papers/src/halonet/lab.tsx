import { useMemo } from 'react';
import type { Control } from '../kit/lab/controls.ts';
import { type Layout, outline, pixelOf, tokenErrors } from '../kit/lab/draw.ts';
import { LabFrame } from '../kit/lab/frame.tsx';
import { Lanes } from '../kit/lab/lanes.tsx';
import { boxOf } from '../kit/lab/overlays.ts';
import { bytes, Fact, milliseconds, percent, three } from '../kit/lab/readout.tsx';
import { moved } from '../kit/lab/retouch.ts';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { TileMap } from '../kit/lab/tile-map.tsx';
import { DETAIL } from '../kit/lab/tokens.ts';
import { TrialBar, useTrial } from '../kit/lab/trial.tsx';
import { errorsByDistance, haloGeometry, neighbourhood } from './blocks.ts';
import { type Options, paper } from './paper.ts';
import type { unfolding } from './unfolding.ts';

/** Moving the picture is moving the grid of blocks over it. */
function shiftControl(name: string, label: string): Control {
  return {
    kind: 'range',
    name,
    label,
    help: 'what leaves on one side comes in on the other; the blocks stay',
    unit: 'pixels',
    min: 0,
    max: 15,
    step: 1,
  };
}

/** Fine lines where blocks meet. */
function drawBlocks(context: CanvasRenderingContext2D, layout: Layout, blockSize: number, colour: string) {
  context.save();
  context.globalAlpha = 0.45;
  context.strokeStyle = colour;
  context.lineWidth = pixelOf(context);
  context.beginPath();
  for (let row = blockSize; row < layout.height; row += blockSize) {
    context.moveTo(0, row * DETAIL);
    context.lineTo(layout.width * DETAIL, row * DETAIL);
  }
  for (let column = blockSize; column < layout.width; column += blockSize) {
    context.moveTo(column * DETAIL, 0);
    context.lineTo(column * DETAIL, layout.height * DETAIL);
  }
  context.stroke();
  context.restore();
}

const spec: LabSpec<Options> = {
  paper,
  question:
    'Pixels at the edge of a block see less than those in its middle: how wide must the halo be to mend that?',
  main: ['halo', 'blockSize'],
  hidden: ['pad', 'averageDown', 'centredRadius', 'scalePosition'],
  preset: () => ({ pad: true }),
  planning: 'once',
  hints: ([rows]) => ({
    blockSize: { min: 2, max: 16, step: 2 },
    halo: { max: Math.min(12, Math.floor(rows / 2)) },
  }),
  tries: [
    {
      label: 'No halo: blocks that know nothing of each other',
      settings: { options: { halo: 0 }, show: 'difference' },
    },
    { label: 'A halo as wide as the block', settings: { options: { blockSize: 8, halo: 8 } } },
    {
      label: 'At the border: zeros that take part, or a mask',
      settings: { options: { border: 'mask' }, at: 0, show: 'attention' },
    },
  ],
  extras: {
    title: 'The picture under the blocks',
    controls: [shiftControl('shiftRows', 'move down'), shiftControl('shiftColumns', 'move right')],
    defaults: { shiftRows: 0, shiftColumns: 0 },
    retouch: (pixels, { shiftRows, shiftColumns }, grid) =>
      moved(pixels, grid, { rows: Number(shiftRows), columns: Number(shiftColumns) }),
  },
  overlay: (view) => (context, layout, inks) => {
    drawBlocks(context, layout, view.options.blockSize, inks.paper);
    const { block, window } = neighbourhood(view.data.shape[2], view.options, view.query);
    outline(context, layout, boxOf(window), inks.accent, true);
    outline(context, layout, boxOf(block), inks.accent);
  },
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

/** Side of the window that the cost is set beside: Swin's. */
const SWIN_SIDE = 7;

function Panels({ view }: { view: LabView<Options> }) {
  const { options, data, query } = view;
  const [, heads, tokens, headDim] = data.shape;
  const { asks, keysPerQuery, overlap } = neighbourhood(tokens, options, query);
  const { windowSide, queryStep } = haloGeometry(tokens, options);
  const queries = tokens / queryStep ** 2;
  const ratio = keysPerQuery / SWIN_SIDE ** 2;
  return (
    <>
      <section aria-label="Counts">
        <p className="lab-title">
          Blocks of {options.blockSize} × {options.blockSize} pixels, windows of {windowSide} × {windowSide}
        </p>
        <dl>
          <Fact name="Keys a query">
            {keysPerQuery} of {tokens}
            {asks ? '' : '; with stride 2 this pixel asks nothing'}
          </Fact>
          <Fact name="Overlap of windows">
            {three(overlap)} times: a key is read by that many blocks on average ((b + 2h)² / b²)
          </Fact>
          <Fact name="Work beside dense">
            {percent((queries * keysPerQuery) / (tokens * tokens))} of the pairs, borders included
          </Fact>
          <Fact name={`Work beside ${SWIN_SIDE} × ${SWIN_SIDE} windows`}>
            {three(ratio)} times (windows that do not overlap, as in Swin)
          </Fact>
          <Fact name="Not copied">
            {bytes(overlap * tokens * heads * headDim * 2 * 4)} that unfolding keys and values would take; the
            kernel reads them where they lie
          </Fact>
        </dl>
      </section>
      <BorderErrors view={view} />
      <Unfolding view={view} />
      {view.pattern && <TileMap pattern={view.pattern} query={query} tokens={tokens} />}
    </>
  );
}

/** How far the output is from dense attention, by the distance of a pixel from the rim of its block. */
function BorderErrors({ view }: { view: LabView<Options> }) {
  const { result, stale, options, grid } = view;
  const { blockSize, stride } = options;
  const errors = useMemo(
    () =>
      result ? errorsByDistance(tokenErrors(result.output, result.dense, result.shape), grid, blockSize) : [],
    [result, grid, blockSize],
  );
  return (
    <section aria-label="Borders">
      <p className="lab-title">Difference from dense, by the distance from the rim of the block</p>
      {stride === 2 ? (
        <p className="lab-note">With stride 2 most pixels ask nothing: only stride 1 is shown.</p>
      ) : stale || !result ? (
        <p className="lab-note">Waiting for the run.</p>
      ) : (
        <Lanes
          label="Mean relative difference of a pixel’s output from dense attention"
          testId="borders"
          lanes={errors.map((error, distance) => ({
            name: distance === 0 ? 'at the rim' : `${distance} ${distance === 1 ? 'pixel' : 'pixels'} inside`,
            value: error,
            shown: percent(error),
            own: true,
          }))}
        />
      )}
      <p className="lab-note">
        Without a halo the rim sees one side only. A halo as wide as the nearness that matters makes all
        pixels alike.
      </p>
    </section>
  );
}

/** Windows copied out beside windows read where they lie. */
function Unfolding({ view }: { view: LabView<Options> }) {
  const trial = useTrial<typeof unfolding>(view, 'unfolding', null);
  return (
    <section aria-label="Unfolding">
      <p className="lab-title">Copying the windows out, or reading them where they lie</p>
      {trial.value ? (
        <>
          <Lanes
            label="Median time"
            testId="unfolding"
            lanes={trial.value.times.map(({ name, timeMs, memoryBytes }) => ({
              name: name === 'fused' ? 'Read in place' : 'Copied out first',
              value: timeMs,
              shown: timeMs === undefined ? '–' : milliseconds(timeMs),
              own: name === 'fused',
              note: `${bytes(memoryBytes)} beside the inputs, output included`,
            }))}
          />
          <p className="lab-note">
            The outputs differ by {three(100 * trial.value.differs)} % of their norm.
          </p>
        </>
      ) : (
        <p className="lab-note">The same attention twice, at stride 1 and with zeros outside the image.</p>
      )}
      <TrialBar trial={trial} label="Measure both" />
    </section>
  );
}
