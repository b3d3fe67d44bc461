import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** A mail server of this process that keeps what it accepts. */
export interface MailServer {
  url: string;
  /** Whole mails, as they came, in the order in which they were accepted. */
  mails: { to: string; raw: string }[];
  /** Connections that ended before the end of a mail. */
  cut(): number;
  close(): Promise<void>;
}

export interface MailRules {
  /** The code with which an address is refused. */
  refuse?: (address: string) => number | undefined;
  /** Called at a step of a mail; it may wait. 'body' comes before the end of the mail, 'end' after it and before the answer. */
  at?: (step: 'recipient' | 'body' | 'end', address: string) => Promise<void> | void;
}

export async function mailServer({ refuse, at }: MailRules = {}): Promise<MailServer> {
  const mails: MailServer['mails'] = [];
  let cut = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    logger: false,
    onRcptTo: ({ address }, _session, done) => {
      const code = refuse?.(address);
      if (code) return done(Object.assign(new Error('refused'), { responseCode: code }));
      Promise.resolve(at?.('recipient', address)).then(() => done(), done);
    },
    onData: (stream, session, done) => {
      const [{ address }] = session.envelope.rcptTo;
      const chunks: Buffer[] = [];
      let told: Promise<void> | void;
      stream.on('data', (chunk: Buffer) => {
        if (chunks.push(chunk) === 1) told = at?.('body', address);
      });
      stream.on('error', () => {
        cut++;
      });
      stream.on('end', async () => {
        await told;
        mails.push({ to: address, raw: Buffer.concat(chunks).toString() });
        await at?.('end', address);
        done();
      });
    },
  });
  server.on('error', () => {
    cut++;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    cut: () => cut,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
