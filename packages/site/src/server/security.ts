import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';

/** Carries the client's address from the server to pages and actions; what a client sends under this name is replaced. */
export const CLIENT_HEADER = 'X-Saccade-Client';

/** Headers of every answer. Pages bring their own content policy, with the hashes of their scripts. */
export function headers(origin?: string): MiddlewareHandler {
  return async (context, next) => {
    await next();
    const { headers } = context.res;
    // Isolation gives pages SharedArrayBuffer, which the WASM tier needs for its threads.
    headers.set('Cross-Origin-Opener-Policy', 'same-origin');
    headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
    headers.set('Cross-Origin-Resource-Policy', 'same-origin');
    headers.set('X-Content-Type-Options', 'nosniff');
    headers.set('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=()');
    if (!headers.has('Referrer-Policy')) headers.set('Referrer-Policy', 'strict-origin-when-cross-origin');
    if (!headers.has('Content-Security-Policy'))
      headers.set('Content-Security-Policy', contentSecurityPolicy());
    if (origin?.startsWith('https://'))
      headers.set('Strict-Transport-Security', 'max-age=31536000; includeSubDomains');
    // What depends on who asks is in no shared cache.
    if (headers.get('Content-Type')?.startsWith('text/html') && !headers.has('Cache-Control'))
      headers.set('Cache-Control', context.req.header('cookie') ? 'private, no-store' : 'no-cache');
  };
}

/**
 * Scripts run from this server, or where they are the page's own; WASM may compile; nothing comes from elsewhere.
 * @param hashes of the page's own scripts, such as sha256-…
 */
export function contentSecurityPolicy(hashes: readonly string[] = []): string {
  return [
    "default-src 'self'",
    ["script-src 'self' 'wasm-unsafe-eval'", ...hashes.map((hash) => `'${hash}'`)].join(' '),
    "worker-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:", // a reader's own video in a lab
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ].join('; ');
}

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses what another site makes a browser send. Browsers say where a request comes from, in Sec-Fetch-Site or in
 * Origin; a program says neither, and then nothing must ride on a cookie.
 */
export function sameOrigin(origin?: string): MiddlewareHandler {
  return async (context, next) => {
    const { method } = context.req;
    if (safe.has(method) || isOwn(context, origin)) return next();
    return context.text('This request came from another site and was not carried out.', 403);
  };
}

/** Pages take forms and nothing else: what is none, or a broken one, gets its answer before an action reads it. */
export const formsOnly: MiddlewareHandler = async (context, next) => {
  if (safe.has(context.req.method)) return next();
  const type = context.req.header('content-type') ?? 'nothing';
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\s*(;|$)/i.test(type))
    return context.text(
      `Content-Type is ${type.slice(0, 100)}; allowed: application/x-www-form-urlencoded, multipart/form-data.`,
      415,
    );
  // Of the other kind every sequence of bytes is one.
  if (!/^multipart/i.test(type)) return next();
  const isForm = await context.req.raw
    .clone()
    .formData()
    .then(
      () => true,
      () => false,
    );
  if (!isForm) return context.text(`The body is no form of the type ${type.slice(0, 100)}.`, 400);
  return next();
};

function isOwn({ req }: Context, origin?: string): boolean {
  const site = req.header('sec-fetch-site');
  if (site) return site === 'same-origin' || site === 'none';
  const from = req.header('origin');
  if (!from) return !req.header('cookie');
  return from === origin || from === new URL(req.url).origin;
}

/**
 * Tells pages and actions the client's address, for limits.
 * @param proxies how many proxies before the site are ours: the address is the one that the outermost of them saw
 */
export function clientAddress(proxies: number): MiddlewareHandler<{ Bindings: Partial<HttpBindings> }> {
  return async (context, next) => {
    const path = (context.req.header('x-forwarded-for') ?? '').split(',').map((part) => part.trim());
    const seen = proxies > 0 ? path.at(-proxies) : undefined;
    const address = seen || context.env?.incoming?.socket.remoteAddress || 'unknown';
    context.req.raw.headers.set(CLIENT_HEADER, address);
    return next();
  };
}
