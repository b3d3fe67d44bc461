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

const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text for HTML, also within quotes. */
export const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => named[character]);
