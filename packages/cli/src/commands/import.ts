import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { ArgumentError } from '@saccade/attention';
import { type Context, printJson, table } from '../console.ts';

/** Where papers can come from. */
export const importSources = ['huggingface', 'arxiv', 'arxiv-rss', 'arxiv-oai', 'bibtex', 'list'] as const;

export interface ImportOptions {
  file?: string;
  from?: string;
  to?: string;
  categories?: string;
  query?: string;
  most?: string;
  set?: string;
  list?: boolean;
  data?: string;
}

const OPENING_BRACE = 0x7b;

interface Report {
  read: number;
  added: number;
  changed: number;
  unchanged: number;
  problems: { where: string; message: string }[];
}

/**
 * `saccade import`: papers from arXiv, Hugging Face, a BibTeX file or a list into the site's database. The site's own
 * program does it. Returns the exit code.
 */
export async function importPapers(
  context: Context,
  source: string,
  options: ImportOptions,
): Promise<number> {
  if (!(importSources as readonly string[]).includes(source))
    throw new ArgumentError('saccade', 'source', source, importSources.join(', '));
  const program = fileURLToPath(new URL('../../../site/src/server/import-main.ts', import.meta.url));
  if (!existsSync(program))
    throw new ArgumentError('saccade', 'import', 'outside a clone of the repository', 'inside one');
  const { file, categories, most, data, ...rest } = options;
  if (most !== undefined && !/^\d+$/.test(most))
    throw new ArgumentError('saccade', '--most', most, 'a whole number');
  const request = {
    source,
    ...rest,
    json: undefined,
    ...(file !== undefined && { text: await readText(file) }),
    ...(categories !== undefined && { categories: categories.split(',') }),
    ...(most !== undefined && { most: Number(most) }),
  };
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, ...(data !== undefined && { SACCADE_DATA: data }) },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stop = () => child.kill('SIGTERM');
  context.signal.addEventListener('abort', stop);
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes;
    // a refusal is data for us, not for the reader
    if (!context.json && bytes[0] !== OPENING_BRACE) context.console.error(String(bytes));
  });
  child.stdin.end(JSON.stringify(request));
  const [out, code] = await Promise.all([
    readAll(child.stdout),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ]);
  context.signal.removeEventListener('abort', stop);
  const last = said.trim().split('\n').at(-1) ?? '';
  if (code === 2) {
    const { argument, given, allowed } = JSON.parse(last) as Record<'argument' | 'given' | 'allowed', string>;
    throw new ArgumentError('saccade', argument === 'text' ? '--file' : `--${argument}`, given, allowed);
  }
  if (code !== 0) throw new Error(last.replace(/^saccade: /, ''));
  const report = JSON.parse(out) as Report;
  if (context.json) printJson(context, report);
  else print(context, report);
  return 0;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ArgumentError(
      'saccade',
      '--file',
      `${file} (${(error as NodeJS.ErrnoException).code})`,
      'a file that can be read',
    );
  }
}

function print({ console }: Context, { read, added, changed, unchanged, problems }: Report): void {
  console.out(
    table([
      ['read', 'new', 'changed', 'as before', 'not read'],
      [read, added, changed, unchanged, problems.length].map(String),
    ]),
  );
  for (const { where, message } of problems.slice(0, 20)) console.out(`\n${where}: ${message}`);
  if (problems.length > 20) console.out(`\nand ${problems.length - 20} more`);
  console.out('\n');
}
