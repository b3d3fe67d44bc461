// `npm run new-paper <slug>`: makes the folder of a paper. Its files compile; its tests fail with the questions to answer.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const templates = join(import.meta.dirname, 'new-paper');

/** `rectified-spaattn` as `rectifiedSpaattn`: the name of the mechanism and of the reference. */
export function functionName(slug: string): string {
  return slug.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Makes <papers>/<slug>/ from the templates.
 * @param papers the folder that holds the papers' folders and kit/
 * @param title as the README shows it; default: the slug
 * @returns paths of the files made
 * @throws Error if the slug is no slug or its folder exists; nothing is left behind then
 */
export function makePaper(papers: string, slug: string, title = slug): string[] {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(slug))
    throw new Error(`slug is ${JSON.stringify(slug)}; allowed: kebab-case that starts with a letter`);
  if (['kit', 'index', 'labs', 'catalogue'].includes(slug))
    throw new Error(`slug is ${slug}; allowed: a name not taken by the package`);
  const folder = join(papers, slug);
  if (existsSync(folder)) throw new Error(`${folder} exists; allowed: a slug that has no folder yet`);
  // Made aside and then renamed, so that a failure leaves no half of a paper.
  const aside = join(papers, `.${slug}.part`);
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { recursive: true });
  const names = readdirSync(templates).sort();
  for (const name of names) {
    const text = readFileSync(join(templates, name), 'utf8')
      .replaceAll('{{slug}}', slug)
      .replaceAll('{{name}}', functionName(slug))
      .replaceAll('{{title}}', title);
    writeFileSync(join(aside, name.replace(/\.txt$/, '')), text);
  }
  renameSync(aside, folder);
  return names.map((name) => join(folder, name.replace(/\.txt$/, '')));
}

/** Breaks lines as the linter wants them: where depends on the length of the name. */
export function formatPaper(papers: string, slug: string): void {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const result = spawnSync(
    process.execPath,
    [biome, 'check', '--write', '--vcs-enabled=false', `--config-path=${root}`, join(papers, slug)],
    { encoding: 'utf8' },
  );
  if (result.status !== 0)
    throw new Error(`the templates do not pass the linter: ${result.stdout}${result.stderr}`);
}

/** The catalogue's title of a slug, where it is there already. */
function titleOf(slug: string): string | undefined {
  const path = join(root, 'packages/papers/src/catalogue.json');
  if (!existsSync(path)) return undefined;
  const entries = JSON.parse(readFileSync(path, 'utf8')) as { slug: string; title: string }[];
  return entries.find((entry) => entry.slug === slug)?.title;
}

if (import.meta.main) {
  const [slug] = process.argv.slice(2);
  try {
    if (slug === undefined) throw new Error('slug is missing; usage: npm run new-paper <slug>');
    const title = titleOf(slug);
    const files = makePaper(join(root, 'packages/papers/src'), slug, title);
    formatPaper(join(root, 'packages/papers/src'), slug);
    const name = functionName(slug);
    console.log(files.map((file) => `made ${file.slice(root.length + 1)}`).join('\n'));
    console.log(`
Next:
  1. ${title ? 'its facts are in the catalogue already' : `add its facts and a summary of yours to packages/papers/src/catalogue.json`}
  2. packages/papers/src/index.ts: import { paper as ${name} } from './${slug}/paper.ts' and name it in papers
  3. packages/papers/src/labs.ts: '${slug}': () => import('./${slug}/lab.tsx')
  4. npx vitest run packages/papers/src/${slug}: it fails with the questions to answer
The guide: packages/papers/ADDING.md`);
  } catch (error) {
    console.error(`new-paper: ${(error as Error).message}`);
    process.exitCode = 2;
  }
}
