import { launch } from '../../packages/site/src/client/testing/browser.ts';
import { vitalsOf } from '../../packages/site/src/client/testing/vitals.ts';
import type { FilledSite } from './filled.ts';
import { quantile, type Row, rounded } from './row.ts';

const VISITS = 5;

/** The feed over a simulated slow 4G, each time in a browser that knows nothing of the site; medians. */
export async function lineRows({ engine, site }: FilledSite): Promise<Row[]> {
  const browser = await launch();
  try {
    const visits = [];
    for (let n = 0; n < VISITS; n++) visits.push(await vitalsOf(browser, site.address));
    const samplesMs = visits.map(({ largestPaintMs }) => rounded(largestPaintMs));
    const largestPaintMs = quantile(samplesMs, 0.5);
    const layoutShift = Math.max(...visits.map((visit) => visit.layoutShift));
    return [
      {
        what: `feed page over a slow 4G, ${engine}`,
        figures: { largestPaintMs, layoutShift, kilobytes: Math.round(visits[0].bytes / 1000) },
        atLeast: 'largest contentful paint under 1.5 s, layout shift under 0.05',
        holds: largestPaintMs < 1500 && layoutShift < 0.05,
        samplesMs,
      },
    ];
  } finally {
    await browser.close();
  }
}
