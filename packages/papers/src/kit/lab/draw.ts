import { SEEN, VISITED } from './pattern.ts';
import { DETAIL } from './tokens.ts';

/** Where the tokens of a picture or clip lie on a canvas: frames are laid out in rows of `columns`. */
export interface Layout {
  grid: readonly number[];
  frames: number;
  height: number; // tokens a frame
  width: number;
  columns: number;
  /** Canvas size in picture pixels (DETAIL a token). */
  canvasWidth: number;
  canvasHeight: number;
}

/** Gap between frames, in picture pixels. */
const GAP = 3;

export function layoutOf(grid: readonly number[]): Layout {
  const [height, width] = grid.slice(-2);
  const frames = grid.length === 3 ? grid[0] : 1;
  const columns = frames === 1 ? 1 : Math.min(frames, 3);
  const rows = Math.ceil(frames / columns);
  return {
    grid,
    frames,
    height,
    width,
    columns,
    canvasWidth: columns * width * DETAIL + (columns - 1) * GAP,
    canvasHeight: rows * height * DETAIL + (rows - 1) * GAP,
  };
}

/** Upper left corner of a token, in picture pixels. */
export function cornerOf(layout: Layout, token: number): { x: number; y: number } {
  const { height, width, columns } = layout;
  const frame = Math.floor(token / (height * width));
  const inside = token % (height * width);
  return {
    x: (frame % columns) * (width * DETAIL + GAP) + (inside % width) * DETAIL,
    y: Math.floor(frame / columns) * (height * DETAIL + GAP) + Math.floor(inside / width) * DETAIL,
  };
}

/** The token under a point given in picture pixels; -1 between frames. */
export function tokenAt(layout: Layout, x: number, y: number): number {
  const { height, width, columns, frames } = layout;
  const column = Math.floor(x / (width * DETAIL + GAP));
  const row = Math.floor(y / (height * DETAIL + GAP));
  const insideX = Math.floor((x - column * (width * DETAIL + GAP)) / DETAIL);
  const insideY = Math.floor((y - row * (height * DETAIL + GAP)) / DETAIL);
  const frame = row * columns + column;
  if (insideX < 0 || insideY < 0 || insideX >= width || insideY >= height || column >= columns) return -1;
  return frame < frames ? (frame * height + insideY) * width + insideX : -1;
}

/** The token that an arrow key leads to; the same at the rim. Page keys move between frames. */
export function step(grid: readonly number[], token: number, key: string): number {
  const height = grid.length > 1 ? grid[grid.length - 2] : 1;
  const width = grid[grid.length - 1];
  const frames = grid.length === 3 ? grid[0] : 1;
  const [x, y, frame] = [
    token % width,
    Math.floor(token / width) % height,
    Math.floor(token / (width * height)),
  ];
  const limit = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1);
  const at = (f: number, v: number, u: number) =>
    (limit(f, frames) * height + limit(v, height)) * width + limit(u, width);
  switch (key) {
    case 'ArrowLeft':
      return at(frame, y, x - 1);
    case 'ArrowRight':
      return at(frame, y, x + 1);
    case 'ArrowUp':
      return at(frame, y - 1, x);
    case 'ArrowDown':
      return at(frame, y + 1, x);
    case 'PageUp':
      return at(frame - 1, y, x);
    case 'PageDown':
      return at(frame + 1, y, x);
    default:
      return token;
  }
}

/**
 * A picture from values or outputs: colour and sub-pixel brightness as tokens.ts laid them.
 * @param data [1, heads, tokens, headDim]; the mean over heads is shown, or one head
 */
export function drawValues(
  context: CanvasRenderingContext2D,
  layout: Layout,
  data: Float32Array,
  shape: readonly number[],
  head: number | 'all',
): void {
  const [, heads, tokens, headDim] = shape;
  const image = context.createImageData(layout.canvasWidth, layout.canvasHeight);
  const [from, to] = head === 'all' ? [0, heads] : [head, head + 1];
  const mean = new Float32Array(3 + DETAIL * DETAIL);
  // tokens beyond the grid have no place in the picture
  for (let token = 0; token < layout.frames * layout.height * layout.width; token++) {
    mean.fill(0);
    for (let h = from; h < to; h++) {
      const at = (h * tokens + token) * headDim;
      for (let c = 0; c < mean.length; c++) mean[c] += data[at + c] / (to - from);
    }
    const { x, y } = cornerOf(layout, token);
    for (let i = 0; i < DETAIL * DETAIL; i++) {
      const pixel = ((y + Math.floor(i / DETAIL)) * layout.canvasWidth + x + (i % DETAIL)) * 4;
      for (let c = 0; c < 3; c++) image.data[pixel + c] = (mean[c] + mean[3 + i]) * 255;
      image.data[pixel + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** Colours of an overlay, as the page's scheme has them. */
export interface Inks {
  heat: string;
  accent: string;
  warn: string;
  paper: string;
  ink: string;
}

/** Read off a canvas inside the lab: lab.css sets them there. */
export function inksOf(element: Element): Inks {
  const style = getComputedStyle(element);
  return {
    heat: style.caretColor,
    accent: style.columnRuleColor,
    warn: style.textDecorationColor,
    paper: style.backgroundColor,
    ink: style.color,
  };
}

/**
 * Lays the plan and the attention of one query over a picture: unseen tokens fade, visited but masked ones are tinted,
 * seen ones carry a dot of heat by their weight.
 */
export function drawAttention(
  context: CanvasRenderingContext2D,
  layout: Layout,
  inks: Inks,
  shown: { levels?: Uint8Array; weights?: Float32Array; query: number },
): void {
  const { levels, weights, query } = shown;
  const tokens = layout.frames * layout.height * layout.width;
  let top = 0;
  // the query itself always weighs most; the scale is set by the others
  if (weights)
    for (let token = 0; token < tokens; token++) if (token !== query) top = Math.max(top, weights[token]);
  for (let token = 0; token < tokens; token++) {
    const { x, y } = cornerOf(layout, token);
    const level = levels ? levels[token] : SEEN;
    if (level !== SEEN) {
      context.globalAlpha = level === VISITED ? 0.5 : 0.62;
      context.fillStyle = level === VISITED ? inks.warn : inks.paper;
      context.fillRect(x, y, DETAIL, DETAIL);
    }
    const weight = weights && top > 0 ? Math.min(1, weights[token] / top) ** 0.7 : 0;
    if (weight > 0.06) {
      context.globalAlpha = 0.75 * weight;
      context.fillStyle = inks.heat;
      context.fillRect(x, y, DETAIL, DETAIL);
    }
  }
  const { x, y } = cornerOf(layout, query);
  context.globalAlpha = 1;
  const unit = pixelOf(context);
  context.lineWidth = 2 * unit;
  context.strokeStyle = inks.paper;
  context.strokeRect(x - 3 * unit, y - 3 * unit, DETAIL + 6 * unit, DETAIL + 6 * unit);
  context.strokeStyle = inks.ink;
  context.strokeRect(x - unit, y - unit, DETAIL + 2 * unit, DETAIL + 2 * unit);
}

/** Differences of outputs are small: shown this many times as large, around grey. */
export const DIFFERENCE_GAIN = 4;

/** How far two outputs are apart, as values that drawValues() shows: grey where they are equal. */
export function differenceOf(output: Float32Array, dense: Float32Array, headDim: number): Float32Array {
  return output.map((x, i) => (i % headDim < 3 ? 0.5 : 0) + DIFFERENCE_GAIN * (x - dense[i]));
}

/** ‖output − dense‖ / ‖dense‖ of each token over its heads. @returns [tokens] */
export function tokenErrors(
  output: Float32Array,
  dense: Float32Array,
  shape: readonly number[],
): Float32Array {
  const [, heads, tokens, headDim] = shape;
  const errors = new Float32Array(tokens);
  for (let token = 0; token < tokens; token++) {
    let difference = 0;
    let size = 0;
    for (let head = 0; head < heads; head++) {
      const at = (head * tokens + token) * headDim;
      for (let i = at; i < at + headDim; i++) {
        difference += (output[i] - dense[i]) ** 2;
        size += dense[i] ** 2;
      }
    }
    errors[token] = size === 0 ? 0 : Math.sqrt(difference / size);
  }
  return errors;
}

/** One pixel of the page in picture pixels: a small grid is drawn large, and lines must not grow with it. */
export function pixelOf(context: CanvasRenderingContext2D): number {
  return context.canvas.width / Math.max(context.canvas.clientWidth, 1);
}

/** Outline of a box of tokens on one frame, in picture pixels: for query blocks, halos, tiles. */
export function outline(
  context: CanvasRenderingContext2D,
  layout: Layout,
  box: { frame?: number; top: number; left: number; height: number; width: number },
  colour: string,
  dashed = false,
): void {
  const { frame = 0, left, top } = box;
  const corner = cornerOf(layout, frame * layout.height * layout.width);
  context.save();
  const unit = pixelOf(context);
  context.lineWidth = 2 * unit;
  context.strokeStyle = colour;
  context.setLineDash(dashed ? [6 * unit, 4 * unit] : []);
  context.strokeRect(
    corner.x + left * DETAIL,
    corner.y + top * DETAIL,
    box.width * DETAIL,
    box.height * DETAIL,
  );
  context.restore();
}
