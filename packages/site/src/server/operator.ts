import { timingSafeEqual } from 'node:crypto';
import { Hono } from 'hono';
import { z } from 'zod';
import { roles } from './accounts/accounts.ts';
import type { Database } from './database.ts';
import { grantRole } from './queries/users.ts';
import { operatorKey } from './secret.ts';

export const roleSchema = z.object({
  email: z.email('a mail address').max(254, 'at most 254 characters'),
  role: z.enum(roles, `one of ${roles.join(', ')}`),
});

/** What commands on the server's own machine ask of a running server. Everybody else finds nothing here. */
export function operator(database: Database, secret: string): Hono {
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
  return routes;
}
