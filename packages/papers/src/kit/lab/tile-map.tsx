import { useEffect, useRef } from 'react';
import { inksOf } from './draw.ts';
import { type Pattern, SEEN } from './pattern.ts';
import { percent } from './readout.tsx';
import { useScheme } from './use-scheme.ts';

/**
 * One tile of queries and the keys that a kernel visits for it: what is used and what is computed for nothing. A row is
 * a query of the tile, a column a visited key.
 */
export function TileMap({ pattern, query, tokens }: { pattern: Pattern; query: number; tokens: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useScheme(); // drawn again at every render
  const queries = pattern.tile(query);
  const rows = queries.map((token) => pattern.levels(token));
  const keys: number[] = [];
  for (let key = 0; key < tokens; key++) if (rows.some((levels) => levels[key] > 0)) keys.push(key);
  let useful = 0;
  for (const levels of rows) for (const key of keys) if (levels[key] === SEEN) useful++;
  const visited = queries.length * keys.length;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!canvas.current || !context) return;
    const inks = inksOf(canvas.current);
    context.clearRect(0, 0, keys.length, queries.length);
    rows.forEach((levels, row) => {
      keys.forEach((key, column) => {
        context.fillStyle = levels[key] === SEEN ? inks.heat : inks.warn;
        context.globalAlpha = levels[key] === SEEN ? 1 : 0.35;
        context.fillRect(column, row, 1, 1);
      });
    });
    context.globalAlpha = 1;
  });
  return (
    <section aria-label="One tile">
      <p className="lab-title">The query’s tile and the keys visited for it</p>
      <div className="lab-map lab-tile">
        <canvas
          ref={canvas}
          width={Math.max(keys.length, 1)}
          height={Math.max(queries.length, 1)}
          role="img"
          aria-label={`${queries.length} queries by ${keys.length} visited keys; ${percent(useful / Math.max(visited, 1))} of the pairs are used.`}
        />
      </div>
      <p className="lab-note">
        {queries.length} queries × {keys.length} keys: {useful} pairs used (dark), {visited - useful} computed
        for nothing (pale), {percent((visited - useful) / Math.max(visited, 1))}.
      </p>
    </section>
  );
}
