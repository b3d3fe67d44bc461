import type { InputKind } from '../paper.ts';
import type { Control } from './controls.ts';

export const shows = ['attention', 'output', 'difference'] as const;
export type Show = (typeof shows)[number];
export type DeviceChoice = 'auto' | 'webgpu' | 'wasm';

/** Everything a reader can set. It lives in the page's address, so that a link shows the same thing. */
export interface Settings {
  /** A sample's id, or `own` for a file that never leaves the browser. */
  input: string;
  grid: readonly number[];
  device: DeviceChoice;
  /** Whose attention is shown. */
  head: number | 'all';
  /** What the panes show: the query's attention on the outputs, the outputs alone, or how far this is from dense. */
  show: Show;
  /** The query whose attention is shown: a token. */
  at: number;
  /** Options that differ from what the paper takes for this grid. */
  options: Readonly<Record<string, unknown>>;
}

export interface Sample {
  id: string;
  kind: InputKind;
  label: string;
  file: string;
  /** Frames side by side in the file. */
  frames?: number;
}

export const samples: readonly Sample[] = [
  { id: 'boats', kind: 'image', label: 'Boats', file: 'boats.jpg' },
  { id: 'alps', kind: 'image', label: 'Alps', file: 'alps.jpg' },
  { id: 'aeroplane', kind: 'image', label: 'Aeroplane', file: 'aeroplane.jpg' },
  { id: 'cat', kind: 'clip', label: 'Trotting cat', file: 'cat-trot.jpg', frames: 12 },
  { id: 'moby-dick', kind: 'text', label: 'Moby-Dick', file: 'moby-dick.txt' },
];

/** Grids offered for each kind of input; the middle one is the default. */
export type Sizes = Record<InputKind, readonly (readonly number[])[]>;

export const defaultSizes: Sizes = {
  image: [
    [24, 24],
    [32, 32],
    [48, 48],
    [64, 64],
    [96, 96],
  ],
  clip: [
    [12, 6, 10],
    [12, 8, 12],
    [12, 10, 16],
    [12, 13, 20],
    [12, 16, 24],
  ],
  text: [[256], [512], [1024], [2048], [4096]],
};

export const LAB_HEADS = 4;
export const LAB_HEAD_DIM = 32;

/** What the settings are when the address says nothing. */
export function defaultSettings(kinds: readonly InputKind[], sizes: Sizes): Settings {
  const kind = kinds[0];
  const input = samples.find((sample) => sample.kind === kind)?.id ?? 'boats';
  const grid = middle(sizes[kind]);
  return { input, grid, device: 'auto', head: 'all', show: 'attention', at: centre(grid), options: {} };
}

/** The default grid of a kind. */
export function middle(grids: readonly (readonly number[])[]): readonly number[] {
  return grids[Math.floor(grids.length / 2)];
}

/** A token near the middle of the grid. */
export function centre(grid: readonly number[]): number {
  return grid.reduce((token, size) => token * size + Math.floor(size / 2), 0);
}

/** Which kind of grid a sample or own file has. */
export function kindOfGrid(grid: readonly number[]): InputKind {
  return grid.length === 1 ? 'text' : grid.length === 2 ? 'image' : 'clip';
}

const reserved = ['input', 'size', 'device', 'head', 'show', 'at'];

/**
 * Settings from an address. What cannot be used becomes the default and is named in `notes`; parameters that are not
 * the lab's are ignored.
 */
export function readSettings(
  search: URLSearchParams,
  spec: { kinds: readonly InputKind[]; sizes: Sizes; controls: readonly Control[] },
): { settings: Settings; notes: string[] } {
  const notes: string[] = [];
  let settings = defaultSettings(spec.kinds, spec.sizes);
  const reject = (name: string, given: string, allowed: string) =>
    notes.push(
      `${name} in the address is “${given.slice(0, 40)}”; allowed: ${allowed}. The default is used.`,
    );

  const input = search.get('input');
  const offered = samples.filter((sample) => spec.kinds.includes(sample.kind));
  if (input === 'own')
    notes.push('A file of the reader’s own is not part of a link; the sample is shown instead.');
  else if (input !== null) {
    const sample = offered.find(({ id }) => id === input);
    if (sample) {
      const grid = middle(spec.sizes[sample.kind]);
      settings = { ...settings, input, grid, at: centre(grid) };
    } else reject('input', input, offered.map(({ id }) => id).join(', '));
  }
  const kind = offered.find(({ id }) => id === settings.input)?.kind ?? spec.kinds[0];
  const size = search.get('size');
  if (size !== null) {
    const grid = spec.sizes[kind].find((sizes) => sizes.join('x') === size);
    if (grid) settings = { ...settings, grid, at: centre(grid) };
    else reject('size', size, spec.sizes[kind].map((sizes) => sizes.join('x')).join(', '));
  }
  const device = search.get('device');
  if (device === 'auto' || device === 'webgpu' || device === 'wasm') settings = { ...settings, device };
  else if (device !== null) reject('device', device, 'auto, webgpu, wasm');
  const head = search.get('head');
  if (head !== null && head !== 'all') {
    if (isWhole(head, LAB_HEADS - 1)) settings = { ...settings, head: Number(head) };
    else reject('head', head, `all, 0 to ${LAB_HEADS - 1}`);
  }
  const show = shows.find((name) => name === search.get('show'));
  if (show) settings = { ...settings, show };
  else if (search.has('show')) reject('show', search.get('show') ?? '', shows.join(', '));
  const at = search.get('at');
  if (at !== null) {
    const last = settings.grid.reduce((all, length) => all * length, 1) - 1;
    if (isWhole(at, last)) settings = { ...settings, at: Number(at) };
    else reject('at', at, `0 to ${last}`);
  }
  const options: Record<string, unknown> = {};
  for (const control of spec.controls) {
    const given = search.get(control.name);
    if (given === null || reserved.includes(control.name)) continue;
    const parsed = parseOption(control, given, settings.grid.length);
    if (parsed === undefined) reject(control.name, given, allowedOf(control, settings.grid.length));
    else options[control.name] = parsed;
  }
  return { settings: { ...settings, options }, notes };
}

/** The address's parameters for these settings: only what differs from the defaults, beside what is not the lab's. */
export function writeSettings(
  settings: Settings,
  before: URLSearchParams,
  spec: { kinds: readonly InputKind[]; sizes: Sizes; controls: readonly Control[] },
): URLSearchParams {
  const search = new URLSearchParams(before);
  for (const name of [...reserved, ...spec.controls.map((control) => control.name)]) search.delete(name);
  const usual = defaultSettings(spec.kinds, spec.sizes);
  if (settings.input !== usual.input) search.set('input', settings.input);
  if (!sameGrid(settings.grid, middle(spec.sizes[kindOfGrid(settings.grid)])))
    search.set('size', settings.grid.join('x'));
  if (settings.device !== 'auto') search.set('device', settings.device);
  if (settings.head !== 'all') search.set('head', String(settings.head));
  if (settings.show !== 'attention') search.set('show', settings.show);
  if (settings.at !== centre(settings.grid)) search.set('at', String(settings.at));
  for (const [name, value] of Object.entries(settings.options)) search.set(name, String(value));
  return search;
}

function parseOption(control: Control, given: string, rank: number): unknown {
  switch (control.kind) {
    case 'switch':
      return truth(given);
    case 'choice':
      return control.choices.includes(given) ? given : undefined;
    case 'range':
      return numberIn(given, control.min, control.max);
    case 'axes': {
      const { item } = control;
      const parts = given.split(',');
      if (parts.length !== rank) return undefined;
      const values = parts.map((part) =>
        item === 'switch' ? truth(part) : numberIn(part, item.min, item.max),
      );
      return values.includes(undefined) ? undefined : values;
    }
  }
}

function allowedOf(control: Control, rank: number): string {
  switch (control.kind) {
    case 'switch':
      return 'true, false';
    case 'choice':
      return control.choices.join(', ');
    case 'range':
      return `${control.min} to ${control.max}`;
    case 'axes':
      return `${rank} values, each ${control.item === 'switch' ? 'true or false' : `${control.item.min} to ${control.item.max}`}`;
  }
}

const truth = (text: string) => (text === 'true' ? true : text === 'false' ? false : undefined);
const isWhole = (text: string, last: number) => /^\d{1,9}$/.test(text) && Number(text) <= last;
const numberIn = (text: string, min: number, max: number) => {
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
};
const sameGrid = (a: readonly number[], b: readonly number[]) => a.join() === b.join();
