import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import { type Mailer, type Message, refuseLineBreaks } from './mailer.ts';

/** Signs mail for a domain whose DNS holds the public key at <selector>._domainkey. */
export interface Dkim {
  domainName: string;
  keySelector: string;
  /** PEM. */
  privateKey: string;
}

/** RFC 8058 wants both list headers under the signature; nodemailer's own list lacks the second. */
const signed = [
  'From',
  'To',
  'Subject',
  'Date',
  'Message-ID',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'List-Id',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
].join(':');

const closed = { disableFileAccess: true, disableUrlAccess: true };

/**
 * Mail through a server.
 * @param url smtp://user:password@host:587, or smtps:// for TLS from the first byte
 * @param from the sender, such as "Saccade <papers@example.org>"
 */
export function smtp(url: string, from: string, dkim?: Dkim): Mailer {
  const transport = createTransport(url, closed);
  // Composing apart from sending gives the whole mail, signed, before the server hears of it.
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' }, { from });
  return {
    kind: 'smtp',
    send: async (message, handOver) => {
      refuseLineBreaks(message);
      const { envelope, message: raw } = await composer.sendMail({
        ...fields(message),
        ...closed,
        ...(dkim && { dkim: { ...dkim, headerFieldNames: signed } }),
      });
      await transport.sendMail({ envelope, raw: Readable.from(untilHandedOver(raw as Buffer, handOver)) });
    },
    kept: async () => [],
    forget: async () => {},
    close: () => transport.close(),
  };
}

const fields = ({ to, subject, text, html, messageId, headers }: Message) => ({
  to,
  subject,
  text,
  html,
  messageId,
  headers: { ...headers },
});

/** The end of this stream is the line with the dot: before it the server has no mail, after it it has one. */
async function* untilHandedOver(raw: Buffer, handOver?: () => Promise<void>): AsyncGenerator<Buffer> {
  yield raw;
  await handOver?.();
}
