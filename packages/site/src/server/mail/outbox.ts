import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type KeptMessage, type Mailer, refuseLineBreaks } from './mailer.ts';

const keptSchema = z.object({
  id: z.string(),
  at: z.string(),
  to: z.string(),
  subject: z.string(),
  text: z.string(),
  html: z.string(),
  messageId: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
});

/** Mail as files in a folder, so that everything can be tried without a mail server. Only the owner can read them. */
export function outbox(folder: string): Mailer {
  const kept = async (): Promise<KeptMessage[]> => {
    const names = await readdir(folder).catch(() => []);
    const messages: KeptMessage[] = [];
    for (const name of names
      .filter((name) => name.endsWith('.json'))
      .sort()
      .reverse()) {
      const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
      if (text !== undefined) messages.push(keptSchema.parse(JSON.parse(text)));
    }
    return messages;
  };
  return {
    kind: 'outbox',
    kept,
    send: async (message, handOver) => {
      refuseLineBreaks(message);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const at = new Date().toISOString();
      const id = `${at.replace(/[:.]/g, '-')}-${randomBytes(4).toString('hex')}`;
      const draft = join(folder, `${id}.draft`);
      await writeFile(draft, JSON.stringify({ id, at, ...message }), { mode: 0o600 });
      await handOver?.();
      await rename(draft, join(folder, `${id}.json`));
    },
    forget: async (address) => {
      for (const { id, to } of await kept())
        if (to.toLowerCase() === address.toLowerCase()) await rm(join(folder, `${id}.json`), { force: true });
    },
    close: () => {},
  };
}
