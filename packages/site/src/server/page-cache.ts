import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { parseAccept } from 'hono/utils/accept';
import type { Database } from './database.ts';
import { shared } from './shared.ts';

/** Bytes of rendered pages that a process keeps, compressed forms included. */
const MOST_BYTES = 48 * 2 ** 20;
/** After so long a page is rendered again whatever the database says: the calendar and the files of the ledger move on, too. */
const MOST_AGE_MS = 60_000;

const compressors = {
  br: (html: Buffer) => promisify(brotliCompress)(html, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } }),
  gzip: (html: Buffer) => promisify(gzip)(html),
} as const;
type Encoding = keyof typeof compressors;

interface Page {
  version: number;
  until: number;
  headers: Headers;
  tag: string;
  html: Buffer<ArrayBuffer>;
  compressed: Partial<Record<Encoding, Promise<Buffer<ArrayBuffer>>>>;
  bytes: number;
}

export interface PageCacheOptions {
  database: Database;
  /** Renders a page. */
  pages: (request: Request) => Promise<Response>;
  /** Reads again what else a page is made of and may be older than the database; awaited before a page that is to be kept. */
  refresh?: () => Promise<void>;
  now?: () => number;
}

/**
 * Keeps feeds, answers and papers as rendered for readers without a cookie, as long as nothing that they show has changed. Every
 * request asks the database for the number that rises with each such change (060-page-version.sql), so an answer holds
 * all that was committed before its request came, by this process or by another. Everything else is rendered each time.
 */
export function pageCache({ database, pages, refresh, now = Date.now }: PageCacheOptions) {
  const kept = new Map<string, Page>();
  const rendering = new Map<string, Promise<Page | Response>>();
  let bytes = 0;
  const versionNow = shared(async () => {
    const [{ version }] = await database.query<{ version: number }>('SELECT version FROM page_version');
    return version;
  });

  const forget = (key: string) => {
    bytes -= kept.get(key)?.bytes ?? 0;
    kept.delete(key);
  };
  const grow = (key: string, page: Page, by: number) => {
    if (kept.get(key) !== page) return;
    page.bytes += by;
    bytes += by;
    // The one that was asked for longest ago goes first.
    for (const oldest of kept.keys()) {
      if (bytes <= MOST_BYTES) break;
      forget(oldest);
    }
  };

  async function render(key: string, request: Request, version: number): Promise<Page | Response> {
    await refresh?.();
    const response = await pages(request);
    if (response.status !== 200 || response.headers.has('Set-Cookie')) return response;
    const html = Buffer.from(await response.arrayBuffer());
    const tag = createHash('sha256').update(html).digest('base64url').slice(0, 22);
    const headers = new Headers(response.headers);
    headers.set('Vary', 'Cookie, Accept, Accept-Encoding');
    const page: Page = {
      version,
      until: now() + MOST_AGE_MS,
      headers,
      tag: `W/"${tag}"`,
      html,
      compressed: {},
      bytes: 0,
    };
    forget(key);
    kept.set(key, page);
    grow(key, page, html.byteLength);
    return page;
  }

  return async (request: Request): Promise<Response> => {
    const key = keyOf(request);
    if (!key) return pages(request);
    let version: number;
    try {
      version = await versionNow();
    } catch {
      // The page itself says what is wrong with the database.
      return pages(request);
    }
    let page = kept.get(key);
    if (page?.version === version && page.until > now()) {
      kept.delete(key);
      kept.set(key, page);
    } else {
      // Whoever asks for a page that is being rendered at the same version waits for that one.
      const running = `${version} ${key}`;
      const theirs = rendering.get(running);
      const work = theirs ?? render(key, request, version).finally(() => rendering.delete(running));
      if (!theirs) rendering.set(running, work);
      const made = await work;
      if (made instanceof Response) return theirs ? pages(request) : made;
      page = made;
    }
    return answer(request, page, (by) => grow(key, page, by));
  };
}

/** What a page may be asked for, in how many letters, and still be kept. */
const longest = new Map([
  ['q', 120],
  ['page', 60],
  ['family', 60],
  ['runs', 60],
]);

/** Under what a page is kept; undefined for what is rendered for one reader, and for long questions, which nobody asks twice. */
export function keyOf(request: Request): string | undefined {
  if (request.method !== 'GET' || request.headers.has('cookie')) return undefined;
  const { pathname, searchParams } = new URL(request.url);
  if (!/^\/($|papers\/[^/.]+(\/[^/.]+)?$)/.test(pathname)) return undefined;
  for (const [name, value] of searchParams) if (value.length > (longest.get(name) ?? -1)) return undefined;
  return `${pathname}?${searchParams}`;
}

async function answer(request: Request, page: Page, grew: (by: number) => void): Promise<Response> {
  const headers = new Headers(page.headers);
  headers.set('ETag', page.tag);
  const known = request.headers.get('if-none-match');
  if (known?.split(/\s*,\s*/).includes(page.tag)) return new Response(null, { status: 304, headers });
  const encoding = encodingFor(request.headers.get('accept-encoding') ?? '');
  if (!encoding) return new Response(page.html, { headers });
  page.compressed[encoding] ??= compressors[encoding](page.html).then((compressed) => {
    grew(compressed.byteLength);
    return compressed;
  });
  headers.set('Content-Encoding', encoding);
  return new Response(await page.compressed[encoding], { headers });
}

function encodingFor(accepted: string): Encoding | undefined {
  const wanted = new Map(parseAccept(accepted).map(({ type, q }) => [type, q]));
  return (['br', 'gzip'] as const).find((name) => (wanted.get(name) ?? wanted.get('*') ?? 0) > 0);
}
