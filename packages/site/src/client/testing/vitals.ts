import type { Browser } from 'playwright-core';

/** What a reader on a slow line waits for. */
export interface Vitals {
  firstPaintMs: number;
  largestPaintMs: number;
  /** Which element was the largest, as its tag and class. */
  largest: string;
  /** Sum of layout shifts; 0 where nothing moved. */
  layoutShift: number;
  /** Bytes that came over the line until the page was still. */
  bytes: number;
}

/** A simulated slow 4G as Lighthouse has it: 1.6 Mbit/s down, 750 kbit/s up, 150 ms there and back. */
const slow4g = {
  offline: false,
  latency: 150,
  downloadThroughput: (1.6e6 / 8) | 0,
  uploadThroughput: (750e3 / 8) | 0,
};

/** Opens a page on a slow line in a browser that knows nothing of the site, on a screen of this width in CSS pixels. */
export async function vitalsOf(browser: Browser, address: string, width = 412): Promise<Vitals> {
  const context = await browser.newContext({ viewport: { width, height: 823 } });
  try {
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send('Network.enable');
    await devtools.send('Network.emulateNetworkConditions', slow4g);
    let bytes = 0;
    devtools.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    await page.goto(address, { waitUntil: 'networkidle' });
    const seen = await page.evaluate(async () => {
      interface Painted extends PerformanceEntry {
        element?: Element;
      }
      interface Shift extends PerformanceEntry {
        value: number;
        hadRecentInput: boolean;
      }
      const entries = <Kind extends PerformanceEntry>(type: string) =>
        new Promise<Kind[]>((resolve) => {
          const all: Kind[] = [];
          new PerformanceObserver((list) => all.push(...(list.getEntries() as Kind[]))).observe({
            type,
            buffered: true,
          });
          setTimeout(() => resolve(all), 300);
        });
      const [paints, largest, shifts] = await Promise.all([
        entries('paint'),
        entries<Painted>('largest-contentful-paint'),
        entries<Shift>('layout-shift'),
      ]);
      const last = largest.at(-1);
      return {
        firstPaintMs: paints.find(({ name }) => name === 'first-contentful-paint')?.startTime ?? Number.NaN,
        largestPaintMs: last?.startTime ?? Number.NaN,
        largest: `${last?.element?.tagName.toLowerCase() ?? 'nothing'}.${last?.element?.className ?? ''}`,
        layoutShift: shifts.reduce((sum, { value }) => sum + value, 0),
      };
    });
    return { ...seen, bytes };
  } finally {
    await context.close();
  }
}
