import type { PointerEvent } from 'react';
import type { Control } from '../kit/lab/controls.ts';
import { outline, pixelOf } from '../kit/lab/draw.ts';
import type { TokenInputs } from '../kit/lab/features.ts';
import { LabFrame } from '../kit/lab/frame.tsx';
import { boxOf } from '../kit/lab/overlays.ts';
import { Fact, percent, three } from '../kit/lab/readout.tsx';
import { striped } from '../kit/lab/retouch.ts';
import { LAB_HEAD_DIM, LAB_HEADS } from '../kit/lab/settings.ts';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { DETAIL } from '../kit/lab/tokens.ts';
import { CUE_CELLS, CUE_COLOURS, cueRectangles, sharpening } from './cue.ts';
import { type Options, paper } from './paper.ts';
import { type RegionGeometry, regionGeometry, regionOf, regionRectangle } from './regions.ts';

function cueControl(name: string, label: string): Control {
  return { kind: 'range', name, label, help: '', unit: '', min: 1, max: CUE_CELLS, step: 1 };
}

const spec: LabSpec<Options> = {
  paper,
  question:
    'If a region may look at only a few others, does choosing them by content keep more than chance does?',
  main: ['topk', 'routing'],
  hidden: ['causal', 'checkFinite', 'localKernel'],
  planning: 'every call',
  hints: () => ({ topk: { max: 16 }, regions: { min: 4, max: 12 }, seed: { max: 20 } }),
  tries: [
    { label: 'One region each: the shortest list', settings: { options: { topk: 1 } } },
    { label: 'Random regions: what chance keeps', settings: { options: { routing: 'random' } } },
    {
      label: 'A cue and its copy: does the routing find it?',
      settings: { options: { cue: true, topk: 2 }, at: 0 },
    },
  ],
  extras: {
    title: 'The picture',
    controls: [
      {
        kind: 'switch',
        name: 'cue',
        label: 'a cue at the upper left, and its copy',
        help: 'two equal signs painted into the picture',
      },
      cueControl('cueRow', 'copy in row'),
      cueControl('cueColumn', 'copy in column'),
      {
        kind: 'switch',
        name: 'local',
        label: 'local convolution (LCE)',
        help: 'added to the output: a fixed sharpening, as nothing is trained here',
      },
    ],
    defaults: { cue: false, cueRow: 6, cueColumn: 5, local: false },
    // as a network that was trained on such signs would
    place: ({ cue }) => (cue ? 0 : 1),
    options: ({ local }) => (local ? { localKernel: sharpening(LAB_HEADS * LAB_HEAD_DIM) } : {}),
    retouch: (pixels, { cue, cueRow, cueColumn }, grid) =>
      cue
        ? striped(
            pixels,
            grid,
            cueRectangles(grid, { row: Number(cueRow) - 1, column: Number(cueColumn) - 1 }),
            CUE_COLOURS,
          )
        : pixels,
  },
  overlay: (view) => (context, layout, inks) => {
    const { geometry, own, routes } = routesOf(view);
    const middle = (region: number) => {
      const { top, left, bottom, right } = regionRectangle(geometry, region);
      return { x: ((left + right) / 2) * DETAIL, y: ((top + bottom) / 2) * DETAIL };
    };
    const from = middle(own);
    context.save();
    context.strokeStyle = inks.accent;
    context.lineCap = 'round';
    for (const { region, strength } of routes) {
      outline(context, layout, boxOf(regionRectangle(geometry, region)), inks.accent, true);
      const to = middle(region);
      context.lineWidth = (1 + 7 * strength) * pixelOf(context);
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
      context.stroke();
    }
    context.restore();
    outline(context, layout, boxOf(regionRectangle(geometry, own)), inks.ink);
  },
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

interface Routes {
  geometry: RegionGeometry;
  own: number;
  /** Affinity of the query's region with each region: the product of their means, all heads together. */
  affinities: Float64Array;
  /** Regions looked at, with their affinity between 0 (the lowest of the picture) and 1. */
  routes: { region: number; strength: number }[];
}

function routesOf(view: LabView<Options>): Routes {
  const { data, options, pattern, query } = view;
  const geometry = regionGeometry(data.shape[2], options);
  const own = regionOf(geometry, query);
  const affinities = affinitiesOf(data, geometry, own);
  const chosen = new Set<number>();
  pattern?.levels(query).forEach((level, token) => {
    if (level > 0) chosen.add(regionOf(geometry, token));
  });
  const [low, high] = [Math.min(...affinities), Math.max(...affinities)];
  const routes = [...chosen].map((region) => ({
    region,
    strength: high > low ? (affinities[region] - low) / (high - low) : 1,
  }));
  return { geometry, own, affinities, routes };
}

/** Row `own` of the region graph, as the mechanism scores it. */
function affinitiesOf(
  { query, key, shape }: TokenInputs,
  geometry: RegionGeometry,
  own: number,
): Float64Array {
  const [, heads, tokens, headDim] = shape;
  const channels = heads * headDim;
  const ask = new Float64Array(channels);
  const answers = new Float64Array(geometry.regionCount * channels);
  const sizes = new Float64Array(geometry.regionCount);
  for (let token = 0; token < tokens; token++) {
    const region = regionOf(geometry, token);
    sizes[region]++;
    for (let head = 0; head < heads; head++) {
      const at = (head * tokens + token) * headDim;
      for (let d = 0; d < headDim; d++) {
        answers[region * channels + head * headDim + d] += key[at + d];
        if (region === own) ask[head * headDim + d] += query[at + d];
      }
    }
  }
  return Float64Array.from({ length: geometry.regionCount }, (_, region) => {
    let dot = 0;
    for (let c = 0; c < channels; c++) dot += ask[c] * answers[region * channels + c];
    return dot / (sizes[own] * sizes[region]);
  });
}

/** Puts the copy of the cue where the pointer is on the region graph. */
function dragCue(event: PointerEvent<SVGSVGElement>, view: LabView<Options>): void {
  if (view.extras.cue !== true) return;
  const box = event.currentTarget.getBoundingClientRect();
  const cell = (at: number, start: number, length: number) =>
    Math.min(CUE_CELLS, Math.max(1, 1 + Math.floor((CUE_CELLS * (at - start)) / length)));
  const [row, column] = [cell(event.clientY, box.top, box.height), cell(event.clientX, box.left, box.width)];
  if (row !== view.extras.cueRow) view.setOption('cueRow', row);
  if (column !== view.extras.cueColumn) view.setOption('cueColumn', column);
}

function cueFound(
  view: LabView<Options>,
  geometry: RegionGeometry,
  own: number,
  chosen: ReadonlySet<number>,
): string {
  const { cueRow, cueColumn } = view.extras;
  const [cue, copy] = cueRectangles(view.grid, { row: Number(cueRow) - 1, column: Number(cueColumn) - 1 });
  const middle = ({ top, left, bottom, right }: typeof cue) =>
    Math.floor((top + bottom) / 2) * view.grid[1] + Math.floor((left + right) / 2);
  if (own !== regionOf(geometry, middle(cue)))
    return 'Point at the cue, at the upper left of the picture, to see whether it finds its copy.';
  return chosen.has(regionOf(geometry, middle(copy)))
    ? 'The region of the cue looks at its copy.'
    : 'The region of the cue does not look at its copy.';
}

function Panels({ view }: { view: LabView<Options> }) {
  const { geometry, own, affinities, routes } = routesOf(view);
  const { regionsDown, regionsAcross, regionRows, regionColumns, topk } = geometry;
  const chosen = new Set(routes.map(({ region }) => region));
  const order = Array.from(affinities.keys()).sort((a, b) => affinities[b] - affinities[a]);
  const place = new Map(order.map((region, index) => [region, index]));
  const cell = 40;
  const dense = view.rows?.dense;
  let inside = 0;
  dense?.forEach((weight, token) => {
    if (chosen.has(regionOf(geometry, token))) inside += weight;
  });
  return (
    <>
      <section aria-label="Region graph">
        <p className="lab-title">
          How much region {own + 1} is like each region: its rank, {chosen.size} of them looked at
        </p>
        <svg
          viewBox={`0 0 ${regionsAcross * cell} ${regionsDown * cell}`}
          style={{ maxWidth: '22rem' }}
          role="img"
          className={view.extras.cue === true ? 'lab-board' : undefined}
          onPointerDown={(event) => dragCue(event, view)}
          onPointerMove={(event) => event.buttons === 1 && dragCue(event, view)}
          aria-label={`Regions looked at: ${[...chosen].map((region) => `row ${Math.floor(region / regionsAcross) + 1} column ${(region % regionsAcross) + 1}`).join(', ')}`}
        >
          {order.map((region) => {
            const rank = place.get(region) ?? 0;
            const shade = 100 - (90 * rank) / Math.max(order.length - 1, 1);
            return (
              <g
                key={region}
                transform={`translate(${(region % regionsAcross) * cell} ${Math.floor(region / regionsAcross) * cell})`}
              >
                <rect
                  x={2}
                  y={2}
                  width={cell - 4}
                  height={cell - 4}
                  style={{
                    fill: `color-mix(in srgb, var(--lab-heat) ${Math.round(shade * 0.55)}%, var(--lab-paper))`,
                    stroke: chosen.has(region) ? 'var(--lab-ink)' : 'var(--lab-rule)',
                    strokeWidth: chosen.has(region) ? 3 : 1,
                  }}
                />
                <text
                  x={cell / 2}
                  y={cell / 2 + 5}
                  textAnchor="middle"
                  style={{ fill: 'var(--lab-ink)', fontSize: 14, fontWeight: region === own ? 700 : 400 }}
                >
                  {rank + 1}
                </text>
              </g>
            );
          })}
        </svg>
        {view.extras.cue === true && (
          <p className="lab-note" data-lab="cue">
            {cueFound(view, geometry, own, chosen)} Drag on the regions, or move the sliders, to put the copy
            elsewhere. With the cue, tokens go by looks alone, not by place.
          </p>
        )}
      </section>
      <section aria-label="Counts">
        <p className="lab-title">What the routing leaves to compute</p>
        <dl>
          <Fact name="Regions">
            {regionsDown} × {regionsAcross}, of {regionRows} × {regionColumns} tokens
          </Fact>
          <Fact name="Keys a query">
            {view.options.routing === 'window' ? 1 : topk} regions,{' '}
            {percent(view.pattern?.density ?? Number.NaN)} of all keys
          </Fact>
          <Fact name="This query">
            {dense
              ? `${percent(inside)} of its dense attention lies in the regions looked at`
              : 'waiting for the run'}
          </Fact>
          <Fact name="Routing itself">
            {three((2 * geometry.regionCount ** 2 * view.data.shape[1] * view.data.shape[3]) / 1e6)} MFLOP for
            the region graph
          </Fact>
        </dl>
      </section>
    </>
  );
}
