import { timingSafeEqual } from 'node:crypto';
import { Hono } from 'hono';
import { streamText } from 'hono/streaming';
import { z } from 'zod';
import { roles } from './accounts/accounts.ts';
import { backup } from './backup.ts';
import type { Database } from './database.ts';
import { politeClient } from './import/client.ts';
import { importPapers, importSchema } from './import/import.ts';
import { grantRole } from './queries/users.ts';
import { operatorKey } from './secret.ts';

export const roleSchema = z.object({
  email: z.email('a mail address').max(254, 'at most 254 characters'),
  role: z.enum(roles, `one of ${roles.join(', ')}`),
});

const backupSchema = z.object({ path: z.string().startsWith('/', 'an absolute path') });

/** What commands on the server's own machine ask of a running server. Everybody else finds nothing here. */
export function operator(database: Database, secret: string, zone: string): Hono {
  const routes = new Hono();
  const key = Buffer.from(`Bearer ${operatorKey(secret)}`);
  routes.use('*', async (context, next) => {
    const given = Buffer.from(context.req.header('authorization') ?? '');
    if (given.length !== key.length || !timingSafeEqual(given, key)) return context.notFound();
    return next();
  });
  routes.post('/role', async (context) => {
    const asked = roleSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!asked.success) return context.json({ error: asked.error.issues[0].message }, 400);
    await grantRole(database, asked.data.email, asked.data.role);
    return context.json({});
  });
  routes.post('/import', async (context) => {
    const asked = importSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!asked.success) return context.json({ error: asked.error.issues[0].message }, 400);
    // one JSON a line: an import may take hours, and nobody waits that long for a first byte
    return streamText(context, async (stream) => {
      const stop = new AbortController();
      stream.onAbort(() => stop.abort());
      const say = (line: object) => stream.writeln(JSON.stringify(line));
      const progress = (message: string) => void say({ progress: message });
      const { signal } = stop;
      const fetchText = politeClient(database, { progress, signal });
      try {
        await say({
          report: await importPapers(asked.data, { database, zone, fetchText, progress, signal }),
        });
      } catch (error) {
        await say({ error: (error as Error).message });
      }
    });
  });
  routes.post('/backup', async (context) => {
    const asked = backupSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!asked.success) return context.json({ error: asked.error.issues[0].message }, 400);
    try {
      await backup(database, asked.data.path);
    } catch (error) {
      // Whoever asks owns this machine, so the reason may be told: a folder that is not there, a full disk.
      return context.json({ error: (error as Error).message }, 400);
    }
    return context.json({});
  });
  return routes;
}
