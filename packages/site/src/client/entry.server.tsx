import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { renderToPipeableStream } from 'react-dom/server';
import { type EntryContext, isRouteErrorResponse, ServerRouter } from 'react-router';
import { routeOf } from '../server/metrics.ts';
import { hashScripts } from '../server/script-hashes.ts';
import { contentSecurityPolicy } from '../server/security.ts';
import { provide as provideServices, services } from '../server/services.ts';
import { Nonce } from './nonce.ts';

/** The server hands its database and ledger to this bundle's copy of the module. */
export const provide = provideServices;

/** An error of a loader or an action, for the server's log: what React Router would print holds values and paths. */
export function handleError(error: unknown, { request }: { request: Request }): void {
  // A method that a page does not take is its asker's mistake.
  const refused = isRouteErrorResponse(error) && error.status < 500;
  if (!refused && !request.signal.aborted) complain(error, request);
}

function complain(error: unknown, { url }: Request): void {
  const err = error instanceof Error ? error : new Error(String(error));
  services().log.error({ err, route: routeOf(new URL(url).pathname) }, 'page failed');
}

/**
 * Renders a page whole: pages are small, and a reader without JavaScript must get all of it. The policy of its scripts
 * comes from what was rendered, so the same page may be kept and sent again.
 */
export default function handleRequest(
  request: Request,
  status: number,
  headers: Headers,
  routerContext: EntryContext,
): Promise<Response> {
  const nonce = randomBytes(16).toString('base64url');
  headers.set('Content-Type', 'text/html; charset=utf-8');
  return new Promise((resolve, reject) => {
    const { pipe, abort } = renderToPipeableStream(
      <Nonce value={nonce}>
        <ServerRouter context={routerContext} url={request.url} nonce={nonce} />
      </Nonce>,
      {
        nonce,
        onAllReady() {
          clearTimeout(timer);
          const body = new PassThrough();
          pipe(body);
          text(body).then((rendered) => {
            const { html, hashes } = hashScripts(rendered, nonce);
            headers.set('Content-Security-Policy', contentSecurityPolicy(hashes));
            resolve(new Response(html, { status, headers }));
          }, reject);
        },
        onShellError: reject,
        onError: (error) => complain(error, request),
      },
    );
    const timer = setTimeout(abort, 10_000);
  });
}
