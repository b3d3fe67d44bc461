import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import type MailMessage from 'nodemailer/lib/mailer/mail-message';
import SMTPTransport from 'nodemailer/lib/smtp-transport';
import { type Mailer, refuseLineBreaks } from './mailer.ts';

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
  const transport = new SMTPTransport(url);
  // Composing apart from sending gives the whole mail, signed, before the server hears of it.
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' }, { from });
  return {
    kind: 'smtp',
    send: async (message, handOver) => {
      refuseLineBreaks(message);
      const composed = await composer.sendMail({
        ...message,
        headers: { ...message.headers },
        ...closed,
        ...(dkim && { dkim: { ...dkim, headerFieldNames: signed } }),
      });
      await transmit(transport, composed as Composed, handOver);
    },
    kept: async () => [],
    forget: async () => {},
    close: () => transport.close(),
  };
}

interface Composed {
  envelope: { from: string | false; to: string[] };
  messageId: string;
  message: Buffer;
}

/**
 * Gives the transport a stream of our own: it begins to read when the server has said 354, and the end of the stream is
 * the line with the dot, so there is no mail before handOver. Through sendMail() a stream would be read ahead.
 */
function transmit(
  transport: SMTPTransport,
  { envelope, messageId, message }: Composed,
  handOver?: () => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const stream = Readable.from(untilHandedOver(message, handOver), { objectMode: false });
  let refused: Error | undefined;
  stream.on('error', (error) => {
    refused = error;
    stop.abort();
  });
  const mail = {
    data: { signal: stop.signal },
    message: {
      getEnvelope: () => envelope,
      messageId: () => messageId,
      createReadStream: () => stream,
    },
  };
  return new Promise((resolve, reject) => {
    transport.send(mail as unknown as MailMessage<SMTPTransport.SentMessageInfo>, (error) =>
      error ? reject(refused ?? error) : resolve(),
    );
  });
}

const PIECE = 16_384;

async function* untilHandedOver(message: Buffer, handOver?: () => Promise<void>): AsyncGenerator<Buffer> {
  for (let at = 0; at < message.length; at += PIECE) yield message.subarray(at, at + PIECE);
  await handOver?.();
}
