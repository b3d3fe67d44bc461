// `npm run house`: how our own sources measure up, by pattern and so within a few per cent. It informs; it never fails.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

interface SourceFile {
  path: string;
  lines: string[];
}

interface Row {
  name: string;
  files: number;
  lines: number;
  median: number;
  longest: { path: string; lines: number };
  beyond400: number;
  comments: number;
  documented: number;
  errors: number;
  errorsWithValue: number;
  testLinesPerLine: number;
}

export function isTest(path: string): boolean {
  return /\.(gpu\.|page\.)?test\.tsx?$/.test(path);
}

/** Share of non-blank lines that are comments. */
export function commentShare(lines: readonly string[]): number {
  let inside = false;
  let comments = 0;
  let filled = 0;
  for (const raw of lines) {
    const line = raw.trim();
    if (line === '') continue;
    filled++;
    if (inside || line.startsWith('//') || line.startsWith('/*')) comments++;
    if (line.startsWith('/*')) inside = true;
    if (line.includes('*/')) inside = false;
  }
  return filled === 0 ? 0 : comments / filled;
}

/** Exported functions, classes, interfaces, types and constants, and how many stand under a doc comment. */
export function documentedExports(lines: readonly string[]): { exported: number; documented: number } {
  let exported = 0;
  let documented = 0;
  lines.forEach((line, index) => {
    if (!/^export (async )?(function|class|interface|type \w+ |const|abstract)/.test(line)) return;
    exported++;
    if (lines[index - 1]?.trimEnd().endsWith('*/')) documented++;
  });
  return { exported, documented };
}

/** Thrown errors, and how many print what was given: an ArgumentError always does, others by a hole in their text. */
export function thrownErrors(text: string): { thrown: number; withValue: number } {
  const thrown = [...text.matchAll(/throw (?:new )?([A-Za-z]+)\(([^;]{0,400})/g)];
  const withValue = thrown.filter(
    ([, name, rest]) => name === 'ArgumentError' || name === 'fail' || rest.includes('${'),
  );
  return { thrown: thrown.length, withValue: withValue.length };
}

function read(): SourceFile[] {
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.tsx', '*.mjs'], {
    cwd: root,
    encoding: 'utf8',
  });
  return listed.stdout
    .split('\n')
    .filter((path) => path !== '' && !path.endsWith('.generated.ts'))
    .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').replace(/\n$/, '').split('\n') }));
}

function measure(name: string, files: readonly SourceFile[]): Row {
  const sources = files.filter(({ path }) => !isTest(path));
  const count = (some: readonly SourceFile[]) => some.reduce((sum, { lines }) => sum + lines.length, 0);
  const sizes = sources.map(({ lines }) => lines.length).sort((a, b) => a - b);
  const longest = sources.reduce(
    (best, file) => (file.lines.length > best.lines.length ? file : best),
    sources[0],
  );
  const exports = sources.map(({ lines }) => documentedExports(lines));
  const errors = sources.map(({ lines }) => thrownErrors(lines.join('\n')));
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  const exported = sum(exports.map((one) => one.exported));
  return {
    name,
    files: sources.length,
    lines: count(sources),
    median: sizes[sizes.length >> 1],
    longest: { path: longest.path, lines: longest.lines.length },
    beyond400: sizes.filter((size) => size > 400).length,
    comments: commentShare(sources.flatMap(({ lines }) => lines)),
    documented: exported === 0 ? 0 : sum(exports.map((one) => one.documented)) / exported,
    errors: sum(errors.map((one) => one.thrown)),
    errorsWithValue: sum(errors.map((one) => one.withValue)),
    testLinesPerLine: count(files.filter(({ path }) => isTest(path))) / Math.max(count(sources), 1),
  };
}

function commits(): string {
  const log = (format: string, number: number) =>
    spawnSync('git', ['log', `-${number}`, `--format=${format}`], { cwd: root, encoding: 'utf8' }).stdout;
  const subjects = log('%s', 500).trim().split('\n');
  const bodies = log('%b%x00', 300).split('\0').slice(0, -1);
  const share = (part: number, whole: number) => `${Math.round((100 * part) / Math.max(whole, 1))} %`;
  const placed = subjects.filter((subject) => /^[a-z0-9, -]+: /.test(subject)).length;
  const long = subjects.filter((subject) => subject.length > 72).length;
  return `commits: ${share(placed, subjects.length)} as "place: what is different", ${share(bodies.filter((body) => body.trim()).length, bodies.length)} with a body, ${share(long, subjects.length)} beyond 72 columns`;
}

if (import.meta.main) {
  const files = read();
  const groups = [
    'packages/attention',
    'packages/papers',
    'packages/cli',
    'packages/site',
    'bench',
    'scripts',
  ];
  const rows = groups
    .map((group) => [group, files.filter(({ path }) => path.startsWith(`${group}/`))] as const)
    .filter(([, some]) => some.some(({ path }) => !isTest(path)))
    .map(([group, some]) => measure(group, some));
  rows.push(measure('all', files));
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const cells = [
    [
      'place',
      'files',
      'lines',
      'median',
      'longest',
      '> 400',
      'comments',
      'doc',
      'errors with value',
      'test lines a line',
    ],
    ...rows.map((row) => [
      row.name,
      String(row.files),
      String(row.lines),
      String(row.median),
      String(row.longest.lines),
      String(row.beyond400),
      percent(row.comments),
      percent(row.documented),
      `${row.errorsWithValue} of ${row.errors}`,
      row.testLinesPerLine.toFixed(2),
    ]),
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  for (const { path, lines } of files)
    if (lines.length > 400 && !isTest(path)) console.log(`beyond 400 lines: ${path}, ${lines.length}`);
  console.log(commits());
}
