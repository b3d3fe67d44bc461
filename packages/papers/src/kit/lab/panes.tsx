import { type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react';
import {
  drawAttention,
  drawValues,
  type Inks,
  inksOf,
  type Layout,
  layoutOf,
  step,
  tokenAt,
} from './draw.ts';
import { SEEN, VISITED } from './pattern.ts';
import { useScheme } from './use-scheme.ts';

/** Draws on top of a pane in picture pixels: a halo, a tile, a graph. */
export type Overlay = (context: CanvasRenderingContext2D, layout: Layout, inks: Inks) => void;

interface PaneProps {
  title: string;
  caption: ReactNode;
  grid: readonly number[];
  query: number;
  onQuery(token: number): void;
  levels?: Uint8Array; // [tokens]
  weights?: Float32Array; // [tokens]
}

const isArrow = (key: string) => key.startsWith('Arrow') || key === 'PageUp' || key === 'PageDown';

/** A picture or clip with the attention of one query on it. Pointing or arrow keys choose the query. */
export function PicturePane(
  props: PaneProps & {
    /** [1, heads, tokens, headDim]: outputs, or values until there are any. */
    picture: Float32Array;
    shape: readonly number[];
    head: number | 'all';
    overlay?: Overlay;
    /** Without attention. */
    plain?: boolean;
  },
) {
  const { title, caption, grid, query, onQuery, levels, weights, picture, shape, head, overlay, plain } =
    props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const layout = layoutOf(grid);
  const scheme = useScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme decides the colours that inksOf() reads
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!canvas.current || !context) return;
    const inks = inksOf(canvas.current);
    drawValues(context, layoutOf(grid), picture, shape, head);
    if (plain) return;
    drawAttention(context, layoutOf(grid), inks, { levels, weights, query });
    overlay?.(context, layoutOf(grid), inks);
  }, [picture, shape, head, levels, weights, query, grid, overlay, plain, scheme]);
  const point = (event: { clientX: number; clientY: number }) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return;
    const token = tokenAt(
      layout,
      ((event.clientX - box.left) / box.width) * layout.canvasWidth,
      ((event.clientY - box.top) / box.height) * layout.canvasHeight,
    );
    if (token >= 0 && token !== query) onQuery(token);
  };
  return (
    <figure className="lab-pane">
      <figcaption>
        <strong>{title}</strong> {caption}
      </figcaption>
      <canvas
        ref={canvas}
        width={layout.canvasWidth}
        height={layout.canvasHeight}
        tabIndex={0}
        role="slider"
        aria-label={`${title}: the query. Arrow keys move it${grid.length === 3 ? ', page keys move between frames' : ''}.`}
        aria-valuemin={0}
        aria-valuemax={layout.frames * layout.height * layout.width - 1}
        aria-valuenow={query}
        aria-valuetext={placeOf(grid, query)}
        onPointerMove={point}
        onPointerDown={point}
        onKeyDown={(event) => moveBy(event, grid, query, onQuery)}
      />
    </figure>
  );
}

/** A text with the attention of one word on it. */
export function TextPane(props: PaneProps & { pieces: readonly string[] }) {
  const { title, caption, grid, query, onQuery, levels, weights, pieces } = props;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const words = box.current?.children;
    if (!words) return;
    let top = 0;
    for (let token = 0; weights && token < words.length; token++)
      if (token !== query) top = Math.max(top, weights[token]);
    for (let token = 0; token < words.length; token++) {
      const word = words[token] as HTMLElement;
      const weight = weights && top > 0 ? Math.sqrt(Math.min(1, weights[token] / top)) : 0;
      word.style.setProperty('--weight', `${Math.round(45 * weight)}%`);
      const level = levels ? levels[token] : SEEN;
      const name =
        token === query ? 'query' : level === SEEN ? 'seen' : level === VISITED ? 'visited' : 'unseen';
      if (word.className !== name) word.className = name;
    }
  }, [levels, weights, query]);
  useEffect(() => {
    const pane = box.current;
    const word = pane?.children[query] as HTMLElement | undefined;
    if (!pane || !word) return;
    // only the pane scrolls, never the page
    if (word.offsetTop < pane.scrollTop || word.offsetTop + 24 > pane.scrollTop + pane.clientHeight)
      pane.scrollTop = word.offsetTop - pane.clientHeight / 2;
  }, [query]);
  return (
    <figure className="lab-pane">
      <figcaption>
        <strong>{title}</strong> {caption}
      </figcaption>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for form fields, this is a text to walk through */}
      <div
        ref={box}
        className="lab-text"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the pane scrolls and its query moves by arrow keys
        tabIndex={0}
        role="group"
        aria-label={`${title}: the word “${pieces[query]?.trim() ?? ''}”, ${placeOf(grid, query)}. Left and right arrow keys move to another word.`}
        onPointerOver={(event) => {
          const token = Number((event.target as HTMLElement).dataset.token ?? -1);
          if (token >= 0 && token !== query && event.pointerType === 'mouse') onQuery(token);
        }}
        onClick={(event) => {
          const token = Number((event.target as HTMLElement).dataset.token ?? -1);
          if (token >= 0) onQuery(token);
        }}
        onKeyDown={(event) => moveBy(event, grid, query, onQuery)}
      >
        <Words pieces={pieces} />
      </div>
    </figure>
  );
}

function Words({ pieces }: { pieces: readonly string[] }) {
  // a word has no other name than its place: the list never changes order
  return pieces.map((piece, token) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: see above
    <span key={token} data-token={token}>
      {piece}
    </span>
  ));
}

function moveBy(
  event: KeyboardEvent,
  grid: readonly number[],
  query: number,
  onQuery: (token: number) => void,
): void {
  if (!isArrow(event.key)) return;
  event.preventDefault();
  const next = step(grid, query, event.key);
  if (next !== query) onQuery(next);
}

/** A token's place in words. */
export function placeOf(grid: readonly number[], token: number): string {
  const width = grid[grid.length - 1];
  if (grid.length === 1) return `token ${token + 1} of ${width}`;
  const height = grid[grid.length - 2];
  const inside = `row ${(Math.floor(token / width) % height) + 1}, column ${(token % width) + 1}`;
  return grid.length === 2 ? inside : `frame ${Math.floor(token / (width * height)) + 1}, ${inside}`;
}
