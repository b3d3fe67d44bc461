import type { Message } from './mailer.ts';

/** The mail with the link that logs in. */
export function loginMail({
  to,
  address,
  minutes,
}: {
  to: string;
  address: string;
  minutes: number;
}): Message {
  const link = escapeHtml(address);
  return {
    to,
    subject: 'Your link to Saccade',
    text: `Open this page and press its button to log in. It works once, within ${minutes} minutes.\n\n${address}\n\nIf you did not ask for it, do nothing.\n`,
    html: `<p>Open this page and press its button to log in. It works once, within ${minutes} minutes.</p>
<p><a href="${link}">${link}</a></p>
<p>If you did not ask for it, do nothing.</p>
`,
  };
}

/** The mail that asks whether an address wants papers. */
export function confirmMail({ to, address }: { to: string; address: string }): Message {
  const link = escapeHtml(address);
  return {
    to,
    subject: 'Papers by mail: is it you?',
    text: `Somebody, you we hope, asked for papers by mail from Saccade. Open this page and press its button to begin. It works once, within 24 hours.\n\n${address}\n\nIf it was not you, do nothing: no other mail will come.\n`,
    html: `<p>Somebody, you we hope, asked for papers by mail from Saccade. Open this page and press its button to begin. It works once, within 24 hours.</p>
<p><a href="${link}">${link}</a></p>
<p>If it was not you, do nothing: no other mail will come.</p>
`,
  };
}

/** The mail to who asks for what they have: the form's answer tells nobody that the address is known. */
export function alreadyMail({ to, address }: { to: string; address: string }): Message {
  const link = escapeHtml(address);
  return {
    to,
    subject: 'You get papers by mail already',
    text: `This address gets papers by mail already. Change the hour, or end it, here:\n\n${address}\n`,
    html: `<p>This address gets papers by mail already. <a href="${link}">Change the hour, or end it.</a></p>\n`,
  };
}

export interface DigestPaper {
  slug: string;
  title: string;
  /** Ours, or the beginning of the abstract; null where neither is known. */
  summary: string | null;
  authorCount: number | null;
}

/** Mail programs cut off what is longer than about 100 kB. */
const MOST_PAPERS = 40;

/**
 * A digest. Its Message-ID says subscriber and edition, and its list headers are those of RFC 8058: one POST, without
 * cookie, ends the subscription.
 */
export function digestMail(digest: {
  to: string;
  subscriberId: string;
  token: string;
  /** First and last day, YYYY-MM-DD. */
  firstDay: string;
  edition: string;
  origin: string;
  papers: readonly DigestPaper[];
  /** New answers to the reader's saved searches; they come first, and a paper among them not again below. */
  found: readonly { name: string; query: string; papers: readonly DigestPaper[] }[];
}): Message {
  const { to, subscriberId, token, firstDay, edition, origin, found } = digest;
  const { hostname } = new URL(origin);
  const manage = `${origin}/unsubscribe/${token}`;
  const days = firstDay === edition ? edition : `${firstDay} to ${edition}`;
  const told = new Set(found.flatMap(({ papers }) => papers.map(({ slug }) => slug)));
  const papers = digest.papers.filter(({ slug }) => !told.has(slug));
  const shown = papers.slice(0, MOST_PAPERS);
  const rest = papers.length - shown.length;
  const more = rest > 0 ? `and ${rest} more on ${origin}` : '';
  const sections = found.map(({ name, query, papers }) => ({
    heading: `New for your search “${name}”`,
    address: `${origin}/?${query}`,
    papers,
  }));
  const count = told.size + papers.length;
  const listed = papers.length > 0 ? `Papers listed ${days}` : '';
  const text = [
    ...sections.flatMap(({ heading, address, papers }) => [
      `${heading}: ${address}\n`,
      ...papers.map((paper) => asText(paper, origin)),
    ]),
    ...(sections.length > 0 && listed ? [`${listed}\n`] : []),
    ...shown.map((paper) => asText(paper, origin)),
    more,
    `Change the hour, or unsubscribe: ${manage}`,
  ];
  const html = [
    ...sections.flatMap(({ heading, address, papers }) => [
      `<p><a href="${escapeHtml(address)}">${escapeHtml(heading)}</a></p>`,
      ...papers.map((paper) => asHtml(paper, origin)),
    ]),
    ...(listed ? [`<p>${listed}.</p>`] : []),
    ...shown.map((paper) => asHtml(paper, origin)),
  ];
  return {
    to,
    subject: `${count} ${count === 1 ? 'paper' : 'papers'}, ${days}`,
    messageId: `<digest-${edition}-${subscriberId}@${hostname}>`,
    headers: {
      'List-Id': `Saccade papers <papers.${hostname}>`,
      'List-Unsubscribe': `<${manage}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    },
    text: text.filter(Boolean).join('\n'),
    html: `<!doctype html>
<html lang="en"><body style="max-width:40em;font-family:serif;line-height:1.5">
${html.join('\n')}
${more && `<p>${escapeHtml(more)}</p>\n`}<p><small><a href="${escapeHtml(manage)}">Change the hour, or unsubscribe</a></small></p>
</body></html>
`,
  };
}

const authorsOf = ({ authorCount }: DigestPaper) =>
  authorCount === null ? '' : ` (${authorCount} ${authorCount === 1 ? 'author' : 'authors'})`;

const asText = (paper: DigestPaper, origin: string) =>
  [`${paper.title}${authorsOf(paper)}`, paper.summary, `${origin}/papers/${paper.slug}\n`]
    .filter(Boolean)
    .join('\n');

const asHtml = (paper: DigestPaper, origin: string) =>
  `<h2 style="font-size:1.1em"><a href="${escapeHtml(`${origin}/papers/${paper.slug}`)}">${escapeHtml(paper.title)}</a>${authorsOf(paper)}</h2>${paper.summary ? `\n<p>${escapeHtml(paper.summary)}</p>` : ''}`;

const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text for HTML, also within quotes. */
export const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => named[character]);
