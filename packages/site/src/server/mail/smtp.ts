import { createTransport } from 'nodemailer';
import { type Mailer, refuseLineBreaks } from './mailer.ts';

/**
 * Mail through a server.
 * @param url smtp://user:password@host:587, or smtps:// for TLS from the first byte
 * @param from the sender, such as "Saccade <papers@example.org>"
 */
export function smtp(url: string, from: string): Mailer {
  const transport = createTransport(url, { from, disableFileAccess: true, disableUrlAccess: true });
  return {
    kind: 'smtp',
    send: async (message) => {
      refuseLineBreaks(message);
      await transport.sendMail({ ...message, headers: { ...message.headers } });
    },
    kept: async () => [],
    forget: async () => {},
    close: () => transport.close(),
  };
}
