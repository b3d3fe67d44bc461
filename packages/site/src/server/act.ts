import { data, redirect } from 'react-router';
import { mayActAs, type Role, type Viewer } from './accounts/accounts.ts';
import type { LimitName } from './limits.ts';
import { Refused } from './refused.ts';
import { CLIENT_HEADER } from './security.ts';
import { services } from './services.ts';

/** What an action answers when it was not carried out: words, and the text that would else be lost. */
export interface ActionError {
  error: string;
  intent: string;
  draft?: string;
}

/**
 * Runs a form's work for who is logged in, within a limit. Everybody else is sent to log in and comes back; a refusal
 * becomes its words with its status.
 * @param request a POST; its field `next` is where the reader was
 */
export async function act<Result>(
  request: Request,
  options: { limit: LimitName; role?: Role },
  work: (viewer: Viewer, form: FormData) => Promise<Result>,
) {
  const form = await request.formData();
  const viewer = await services().accounts.viewer(request);
  if (!viewer) throw redirect(`/login?next=${encodeURIComponent(nextOf(form, request))}`);
  try {
    if (!mayActAs(viewer, options.role ?? 'reader'))
      throw new Refused(403, `This needs the role ${options.role}; yours is ${viewer.role}.`);
    await within(options.limit, viewer.id);
    return await work(viewer, form);
  } catch (error) {
    return refusal(error, form);
  }
}

/**
 * Counts one use of a limit.
 * @throws Refused 429 with the seconds to wait
 */
export async function within(limit: LimitName, key: string): Promise<void> {
  const { allowed, retryAfter } = await services().limits.use(limit, key);
  if (!allowed)
    throw new Refused(429, `Too many in a short time; wait ${retryAfter} s and try again.`, retryAfter);
}

/** A refusal as an action's answer. Anything else goes on being thrown. */
export function refusal(error: unknown, form: FormData) {
  if (!(error instanceof Refused)) throw error;
  const { message, status, retryAfter } = error;
  const said: ActionError = {
    error: message,
    intent: `${form.get('intent') ?? ''} ${form.get('comment') ?? form.get('parent') ?? ''}`.trim(),
    draft: String(form.get('text') ?? '').slice(0, 20_000) || undefined,
  };
  return data(said, { status, headers: retryAfter ? { 'Retry-After': String(retryAfter) } : undefined });
}

/** The client's address as the server saw it. */
export const clientOf = (request: Request) => request.headers.get(CLIENT_HEADER) ?? 'unknown';

/** Where a form says that its reader was; the page itself without such a field. */
export function nextOf(form: FormData, request: Request): string {
  return localPath(form.get('next'), pageOf(request).pathname);
}

/** The page that a request is about: with scripts on, React Router asks for the data of `/library` at `/library.data`. */
export function pageOf(request: Request): URL {
  const page = new URL(request.url);
  page.pathname = page.pathname.replace(/^\/_(root)?\.data$/, '/').replace(/\.data$/, '');
  for (const own of ['_routes', 'index']) page.searchParams.delete(own);
  return page;
}

/** A path of this site, or `otherwise`: an address from a form must not lead elsewhere. */
export function localPath(value: unknown, otherwise: string): string {
  if (typeof value !== 'string' || value.length > 500 || !/^\/(?![/\\])/.test(value)) return otherwise;
  const here = 'http://here.invalid';
  const url = URL.canParse(value, here) ? new URL(value, here) : undefined;
  return url?.origin === here ? `${url.pathname}${url.search}${url.hash}` : otherwise;
}

/** Who asks for a page of their own; everybody else is sent to log in and comes back. */
export async function viewerOf(request: Request, role: Role = 'reader'): Promise<Viewer> {
  const viewer = await services().accounts.viewer(request);
  const { pathname, search } = pageOf(request);
  if (!viewer) throw redirect(`/login?next=${encodeURIComponent(pathname + search)}`);
  // Whoever may not see it learns no more than that it is not for them.
  if (!mayActAs(viewer, role)) throw data(`This page is for ${role}s.`, { status: 403 });
  return viewer;
}
