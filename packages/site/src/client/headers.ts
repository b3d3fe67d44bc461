/** Lets the headers of a page's action out, such as Retry-After: a page's `headers`. */
export const actionHeaders = ({ actionHeaders }: { actionHeaders: Headers }): Headers => actionHeaders;

/** For pages whose address holds a token: it goes to no other site, and into no cache. With `no-referrer` their forms would have no origin. */
export function privateHeaders({ actionHeaders }: { actionHeaders: Headers }): Headers {
  const own = new Headers(actionHeaders);
  own.set('Referrer-Policy', 'same-origin');
  own.set('Cache-Control', 'no-store');
  return own;
}
