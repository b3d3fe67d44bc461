import { type ReactNode, use } from 'react';
import {
  Form,
  isRouteErrorResponse,
  Link,
  Links,
  Meta,
  NavLink,
  Outlet,
  Scripts,
  ScrollRestoration,
  useRouteError,
  useRouteLoaderData,
} from 'react-router';
import { mayActAs } from '../server/accounts/accounts.ts';
import { unreadCount } from '../server/queries/users.ts';
import { services } from '../server/services.ts';
import { Keys } from './components/keys.tsx';
import { Nonce } from './nonce.ts';
import social from './social.css?inline';
import theme from './theme.css?inline';

/** Who is logged in, for the header. Without a cookie nothing is looked up. */
export async function loader({ request }: { request: Request }) {
  const { accounts, database } = services();
  const viewer = await accounts.viewer(request);
  if (!viewer) return { viewer: null };
  return {
    viewer: {
      name: viewer.name,
      unread: await unreadCount(database, viewer.id),
      moderates: mayActAs(viewer, 'curator'),
    },
  };
}

export function Layout({ children }: { children: ReactNode }) {
  const nonce = use(Nonce);
  const viewer = useRouteLoaderData<typeof loader>('root')?.viewer;
  return (
    <html lang="en">
      <head>
        <meta charSet="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        <Meta />
        {/* In the page itself: on a slow line a file of its own would come after the page and beside the scripts. */}
        {/* biome-ignore lint/security/noDangerouslySetInnerHtml: our own style sheets, from the build */}
        <style dangerouslySetInnerHTML={{ __html: theme + social }} />
        <Links />
      </head>
      <body>
        <a className="skip" href="#main">
          Skip to the page
        </a>
        <header className="site-header">
          <Link to="/" className="brand">
            Saccade
          </Link>
          <nav aria-label="Site">
            <NavLink to="/" end>
              Papers
            </NavLink>
            <NavLink to="/compare">Compare</NavLink>
            <NavLink to="/ledger">Ledger</NavLink>
            <NavLink to="/speed">Speed</NavLink>
            <NavLink to="/about">About</NavLink>
          </nav>
          <Form method="post" action="/subscribe" className="by-mail">
            <input type="hidden" name="source" value="header" />
            <label htmlFor="by-mail">Papers by mail</label>
            <input
              id="by-mail"
              name="email"
              type="email"
              placeholder="you@example.org"
              autoComplete="email"
              required
              maxLength={254}
            />
            <button type="submit">Subscribe</button>
          </Form>
          <nav aria-label="You" className="you">
            {viewer ? (
              <>
                {viewer.moderates && <NavLink to="/admin/reports">Moderate</NavLink>}
                <NavLink to="/library">Library</NavLink>
                <NavLink to="/notifications">For you{viewer.unread > 0 && ` (${viewer.unread})`}</NavLink>
                <NavLink to="/account">{viewer.name}</NavLink>
              </>
            ) : (
              <NavLink to="/login">Log in</NavLink>
            )}
          </nav>
        </header>
        <main id="main" tabIndex={-1}>
          {children}
        </main>
        <footer className="site-footer">
          <p>Every number on these pages was measured, or says that it was not. Apache-2.0.</p>
        </footer>
        <Keys />
        <ScrollRestoration nonce={nonce} />
        <Scripts nonce={nonce} />
      </body>
    </html>
  );
}

export default function Root() {
  return <Outlet />;
}

export function ErrorBoundary() {
  const error = useRouteError();
  const missing = isRouteErrorResponse(error) && error.status === 404;
  const refused = isRouteErrorResponse(error) && error.status === 400;
  const forbidden = isRouteErrorResponse(error) && error.status === 403;
  const heading = missing
    ? 'There is no such page'
    : refused || forbidden
      ? 'That cannot be shown'
      : 'Something went wrong';
  return (
    <div className="page">
      <title>{`${heading} · Saccade`}</title>
      <h1>{heading}</h1>
      <p>
        {isRouteErrorResponse(error) && typeof error.data === 'string' && error.data !== ''
          ? error.data
          : 'Nothing was lost. Reload the page; if it happens again, the server’s log says more.'}
      </p>
      <p>
        <Link to="/">All papers</Link>
      </p>
    </div>
  );
}
