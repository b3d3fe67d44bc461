// `saccade role <email> <role>` runs this: through the running server where there is one, else on the database itself.
import { join } from 'node:path';
import type { z } from 'zod';
import { openEmbedded } from './database.ts';
import { DirectoryInUse, takeDirectory } from './lock.ts';
import { roleSchema } from './operator.ts';
import { openPostgres } from './postgres.ts';
import { grantRole } from './queries/users.ts';
import { operatorKey, secretOf } from './secret.ts';
import { readSettings } from './settings.ts';

type Asked = z.infer<typeof roleSchema>;

/** Gives the account of an address a role, and makes the account where there is none yet. */
async function main(asked: Asked): Promise<void> {
  const { data, databaseUrl, secret } = readSettings(process.env);
  if (databaseUrl) {
    const database = await openPostgres(databaseUrl, (message) => console.error(message));
    await grantRole(database, asked.email, asked.role);
    await database.close();
    return;
  }
  try {
    const lock = takeDirectory(data);
    try {
      const database = await openEmbedded(join(data, 'postgres'));
      await grantRole(database, asked.email, asked.role);
      await database.close();
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!(error instanceof DirectoryInUse) || !error.address) throw error;
    const answer = await fetch(`${error.address}/operator/role`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${operatorKey(secret ?? secretOf(data))}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify(asked),
    });
    if (!answer.ok) throw new Error(`the server at ${error.address} answered ${answer.status}`);
  }
}

const [email = '', role = ''] = process.argv.slice(2);
const asked = roleSchema.safeParse({ email, role });
if (!asked.success) {
  // For the command, which words every bad argument alike.
  const [{ path, message }] = asked.error.issues;
  const argument = String(path[0]);
  console.error(JSON.stringify({ argument, given: argument === 'role' ? role : email, allowed: message }));
  process.exit(2);
}
try {
  await main(asked.data);
  console.log(`${email} has the role ${role}. Log in on the site with this address.`);
} catch (error) {
  console.error(`saccade: ${(error as Error).message}`);
  process.exit(1);
}
