import { attend, type Plan } from '@saccade/attention';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { definePaper } from '../paper.ts';
import { controlsOf } from './controls.ts';
import { cornerOf, layoutOf, step, tokenAt } from './draw.ts';
import { patternOf, SEEN, VISITED } from './pattern.ts';
import { defaultSettings, defaultSizes, readSettings, writeSettings } from './settings.ts';
import { inputsFromText } from './tokens.ts';

/** A window of `radius` tokens to both sides, visited in blocks of four. */
const paper = definePaper({
  slug: 'window',
  idea: 'a window',
  inputs: ['text', 'image'],
  options: z.strictObject({
    grid: z.array(z.int()).optional(),
    radius: z.int().min(0).max(40).default(2).meta({ label: 'radius', unit: 'tokens' }),
    tile: z.array(z.int().min(1).max(9)).default([3]),
    causal: z.array(z.boolean()).default([false]),
    route: z.enum(['boxes', 'static']).default('boxes'),
    exact: z.boolean().default(true).meta({ label: 'exact' }),
    free: z.string().default(''),
  }),
  reconstructed: [],
  limits: [],
  fit: (grid) => ({ grid: [...grid] }),
  mechanism:
    async () =>
    async ({ query, key, value }, { radius }) => {
      const tokens = query.shape[2];
      const ranges = new Uint32Array(Math.ceil(tokens / 4) * 2);
      for (let block = 0; block < ranges.length / 2; block++) {
        const first = Math.max(0, block * 4 - radius);
        ranges[2 * block] = first;
        ranges[2 * block + 1] = Math.min(tokens, block * 4 + 4 + radius) - first;
      }
      const plan: Plan = {
        name: 'window',
        queryTokens: tokens,
        keyTokens: tokens,
        queries: { slots: tokens, block: 4 },
        keys: { kind: 'ranges', layout: { slots: tokens, block: 1 }, ranges },
        keep: (at) => at.query.sub(at.key).abs().le(radius),
        listBatches: 1,
        listHeads: 1,
      };
      return { ...(await attend(query, key, value, { plan })), attended: { plan } };
    },
  reference: async () => () => ({ output: new Float64Array(), logSumExp: new Float64Array() }),
  claims: async () => [],
});
const text = inputsFromText('one two three four five six seven eight nine ten eleven twelve', { grid: [12] });
const options = (radius: number) => paper.options.parse({ radius });
test('the pattern of a query: seen inside the window, visited for nothing in the rest of the block', async () => {
  const pattern = await patternOf(paper, options(1), text);
  expect(Array.from(pattern.levels(5))).toEqual([
    0,
    0,
    0,
    VISITED,
    SEEN,
    SEEN,
    SEEN,
    VISITED,
    VISITED,
    0,
    0,
    0,
  ]);
});

test('the tile of a query is the tokens that share its keys', async () => {
  const pattern = await patternOf(paper, options(1), text);
  expect(pattern.tile(5)).toEqual([4, 5, 6, 7]);
});

test('controls come from the options: kind, label, unit and range', () => {
  const controls = controlsOf(paper, { tile: { max: 5 } });
  expect(controls.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
    'radius: range',
    'tile: axes',
    'causal: axes',
    'route: choice',
    'exact: switch',
  ]);
  expect(controls[0]).toMatchObject({ label: 'radius', unit: 'tokens', min: 0, max: 40, step: 1 });
  expect(controls[1]).toMatchObject({ item: { min: 1, max: 5 } });
});

const spec = { kinds: paper.inputs, sizes: defaultSizes, controls: controlsOf(paper) };

test('settings survive the way into the address and back', () => {
  const settings = {
    ...defaultSettings(['image'], defaultSizes),
    input: 'alps',
    grid: [32, 32],
    device: 'wasm' as const,
    head: 2,
    show: 'output' as const,
    at: 77,
    options: { radius: 7, tile: [3, 5], causal: [true, false], route: 'static', exact: false },
  };
  const search = writeSettings(settings, new URLSearchParams('page=2&radius=1'), spec);
  expect(search.get('page')).toBe('2');
  expect(readSettings(search, spec)).toEqual({ settings, notes: [] });
});

test('defaults leave the address alone', () => {
  const usual = defaultSettings(spec.kinds, defaultSizes);
  expect(writeSettings(usual, new URLSearchParams(), spec).toString()).toBe('');
});

test.each([
  ['input=nowhere', 'input'],
  ['size=7x7x7x7', 'size'],
  ['device=toaster', 'device'],
  ['head=9', 'head'],
  ['show=all', 'show'],
  ['at=-4', 'at'],
  ['at=99999999', 'at'],
  ['radius=41', 'radius'],
  ['radius=NaN', 'radius'],
  ['radius=1e1', 'radius'],
  ['tile=3,4', 'tile'],
  ['causal=perhaps', 'causal'],
  ['route=<script>', 'route'],
  ['exact=1', 'exact'],
])('the address %s becomes the default with a note', (query, name) => {
  const { settings, notes } = readSettings(new URLSearchParams(query), spec);
  expect(settings).toEqual(defaultSettings(spec.kinds, defaultSizes));
  expect(notes.join()).toContain(`${name} in the address`);
});

test('a point on the canvas and a token are the same thing, in every frame', () => {
  const layout = layoutOf([5, 3, 5]);
  for (let token = 0; token < 75; token++) {
    const { x, y } = cornerOf(layout, token);
    expect(tokenAt(layout, x + 1, y + 1)).toBe(token);
  }
  expect(tokenAt(layout, layout.canvasWidth - 1, layout.canvasHeight - 1)).toBe(-1); // the last row is not full
});

test('arrow keys stay inside the grid', () => {
  expect(step([4, 4], 0, 'ArrowLeft')).toBe(0);
  expect(step([4, 4], 5, 'ArrowUp')).toBe(1);
  expect(step([3, 4, 4], 5, 'PageDown')).toBe(21);
  expect(step([8], 7, 'ArrowRight')).toBe(7);
});
