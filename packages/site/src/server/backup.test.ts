import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backup, restore } from './backup.ts';
import type { Database } from './database.ts';
import { onEachEngine } from './testing/databases.ts';
import { person } from './testing/people.ts';
import { openTemplate } from './testing/template.ts';

let folder: string;
let from: Database;
let file: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-backup-'));
  file = join(folder, 'site.backup');
  from = await openTemplate(true);
  const ada = await person(from, 'ada');
  await from.query(
    "INSERT INTO votes (slug, user_id, created_at) VALUES ('fna', $1, '2026-03-04T05:06:07.123456Z')",
    [ada.id],
  );
  await from.query("UPDATE papers SET hot = 1.0 / 3, title = E'a \"b\" \\\\ ü\\n$1' WHERE slug = 'gna'");
  await from.query("INSERT INTO library (user_id, slug, tags) VALUES ($1, 'fna', ARRAY['a, b', '\"q\"'])", [
    ada.id,
  ]);
  await from.query("INSERT INTO audit (action, target) VALUES ('x', 'y'), ('x', 'z')");
  // An answer that is stored before what it answers.
  await from.query(
    `INSERT INTO comments (id, slug, author_id, parent_id, raw, html) VALUES
       ('00000000-0000-4000-8000-000000000001', 'fna', $1, '00000000-0000-4000-8000-000000000002', 'b', 'b'),
       ('00000000-0000-4000-8000-000000000002', 'fna', $1, NULL, 'a', 'a')`,
    [ada.id],
  );
  await backup(from, file);
}, 120_000);
afterAll(async () => {
  await from?.close();
  rmSync(folder, { recursive: true, force: true });
});

const everything = async (database: Database) => ({
  papers: await database.query('SELECT * FROM papers ORDER BY slug'),
  votes: await database.query('SELECT slug, user_id, created_at::text FROM votes'),
  library: await database.query('SELECT * FROM library'),
  comments: await database.query('SELECT * FROM comments ORDER BY id'),
  audit: await database.query('SELECT * FROM audit ORDER BY id'),
  users: await database.query('SELECT * FROM users'),
});

test('only its owner reads a backup', () => {
  expect(statSync(file).mode & 0o077).toBe(0);
});

onEachEngine('a backup of the embedded database', (open) => {
  test('is the same site again, there and back, and its counters go on', async () => {
    const there = await open();
    await restore(there, file, false);
    expect(await everything(there)).toEqual(await everything(from));
    const [{ id }] = await there.query<{ id: number }>(
      "INSERT INTO audit (action, target) VALUES ('new', 'row') RETURNING id",
    );
    expect(id).toBe(3);
    await there.query('DELETE FROM audit WHERE id = 3');
    const back = join(folder, `back-${there.engine}`);
    await backup(there, back);
    const again = await openTemplate();
    await restore(again, back, false);
    expect(await everything(again)).toEqual(await everything(from));
    await again.close();

    await expect(restore(there, file, false)).rejects.toThrow('--replace');
    await there.query('DELETE FROM votes');
    const lines = gunzipSync(readFileSync(file)).toString().split('\n');
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), gzipSync(text));
      return join(folder, name);
    };
    const cut = write('cut', lines.slice(0, -2).join('\n'));
    await expect(restore(there, cut, true)).rejects.toThrow('is cut short');
    const newer = write('newer', lines.join('\n').replace('001-papers.sql', '999-later.sql'));
    await expect(restore(there, newer, true)).rejects.toThrow('of a newer Saccade, which has 999-later.sql');
    await expect(restore(there, write('other', '{}'), true)).rejects.toThrow('is no backup');
    // What was refused changed nothing.
    expect(await there.query('SELECT 1 FROM votes')).toEqual([]);
    expect(await there.query('SELECT 1 FROM papers')).toHaveLength(41);
    await restore(there, file, true);
    expect(await everything(there)).toEqual(await everything(from));
    await there.close();
  }, 240_000);
});
