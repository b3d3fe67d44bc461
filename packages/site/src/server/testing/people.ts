import { randomBytes } from 'node:crypto';
import type { Role, Viewer } from '../accounts/accounts.ts';
import type { Queries } from '../database.ts';

/** An account made without mail, as old as `createdAt`. */
export async function person(
  database: Queries,
  name: string,
  {
    role = 'reader',
    isBot = false,
    createdAt = '2026-01-01',
  }: { role?: Role; isBot?: boolean; createdAt?: string } = {},
): Promise<Viewer> {
  const id = randomBytes(12).toString('hex');
  await database.query(
    `INSERT INTO users (id, name, email, email_verified, role, is_bot, created_at) VALUES ($1, $2, $3, true, $4, $5, $6)`,
    [id, name, `${name}@example.org`, role, isBot, createdAt],
  );
  return { id, name, role, isBot, createdAt: new Date(createdAt) };
}
