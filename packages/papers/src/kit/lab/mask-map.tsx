import { useEffect, useRef } from 'react';
import { inksOf } from './draw.ts';
import { type Pattern, SEEN, VISITED } from './pattern.ts';
import { useScheme } from './use-scheme.ts';

/** Rows and columns of the map at most: more tokens share a cell. */
const CELLS = 160;

/**
 * The plan as a square: queries down, keys across. A cell is dark where a key is seen, tinted where it is visited for
 * nothing. Choosing a row chooses its query.
 */
export function MaskMap(props: {
  pattern: Pattern;
  tokens: number;
  query: number;
  label: string;
  onQuery(token: number): void;
}) {
  const { pattern, tokens, query, label, onQuery } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const cells = Math.min(tokens, CELLS);
  const scheme = useScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme decides the colours that inksOf() reads
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!canvas.current || !context) return;
    const inks = inksOf(canvas.current);
    const [seen, visited, none] = [inks.heat, inks.warn, inks.paper].map(rgb);
    const image = context.createImageData(cells, cells);
    for (let row = 0; row < cells; row++) {
      const levels = pattern.levels(Math.floor(((row + 0.5) * tokens) / cells));
      for (let column = 0; column < cells; column++) {
        let level = 0;
        const [from, to] = [
          Math.floor((column * tokens) / cells),
          Math.ceil(((column + 1) * tokens) / cells),
        ];
        for (let key = from; key < to; key++) level = Math.max(level, levels[key]);
        image.data.set(
          level === SEEN ? seen : level === VISITED ? visited : none,
          (row * cells + column) * 4,
        );
      }
    }
    context.putImageData(image, 0, 0);
  }, [pattern, tokens, cells, scheme]);
  const row = Math.floor((query * cells) / tokens);
  return (
    <div className="lab-map" style={{ '--row': `${(100 * (row + 0.5)) / cells}%` } as React.CSSProperties}>
      <canvas
        ref={canvas}
        width={cells}
        height={cells}
        role="img"
        aria-label={`${label}: queries down, keys across. ${(100 * pattern.density).toFixed(1)} percent of the pairs are seen.`}
        onPointerDown={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          onQuery(
            Math.min(tokens - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * tokens))),
          );
        }}
      />
    </div>
  );
}

/** Any CSS colour as RGBA bytes, by painting it. */
function rgb(colour: string): Uint8ClampedArray {
  const canvas = document.createElement('canvas');
  canvas.width = 1;
  canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return new Uint8ClampedArray(4);
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}
