import { createHash } from 'node:crypto';

/**
 * Hashes of a rendered page's own scripts for its content policy, and the page without the nonce that told them from
 * everything else: a script that came in by a text of a reader does not bear it, and stays forbidden.
 * @param nonce letters, digits, - and _; of this rendering only
 */
export function hashScripts(rendered: string, nonce: string): { html: string; hashes: string[] } {
  const mark = ` nonce="${nonce}"`;
  const hashes = new Set<string>();
  for (const [, attributes, script] of rendered.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/g))
    if (attributes.includes(mark) && script !== '')
      hashes.add(`sha256-${createHash('sha256').update(script).digest('base64')}`);
  return { html: rendered.replaceAll(mark, ''), hashes: [...hashes] };
}
