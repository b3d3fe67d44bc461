import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');

const forbidden: [path: string, source: string, reason: RegExp][] = [
  ['packages/attention/src/softmax/x.ts', '@saccade/papers', /engines know nothing of papers/],
  ['packages/attention/src/interop/x.ts', 'react', /engines know nothing of papers/],
  ['packages/attention/src/testing/x.ts', 'hono', /engines know nothing of papers/],
  ['packages/attention/src/tensor.ts', './softmax/attend.ts', /no layer above/],
  ['packages/attention/src/plan.ts', './select/top-k.ts', /no layer above/],
  ['packages/attention/src/wgsl/assemble.ts', '../softmax/forward.ts', /knows no attention/],
  ['packages/attention/src/wgsl/assemble.ts', '../mods/to-wgsl.ts', /knows no attention/],
  ['packages/attention/src/device/memory.ts', '../select/top-k.ts', /runs what it is given/],
  ['packages/attention/src/mods/to-wgsl.ts', '../softmax/attend.ts', /without knowing who calls/],
  ['packages/attention/src/softmax/tiers/portable.ts', '../../select/top-k.ts', /neighbours/],
  ['packages/attention/src/select/pool.ts', '../softmax/attend.ts', /neighbours/],
  ['packages/attention/src/softmax/tuned.ts', '../tune/steady.ts', /neighbours/],
  ['packages/attention/src/softmax/attend.ts', '../cache/cache.ts', /cache and the search/],
  ['packages/attention/src/plan.ts', './cache/cache.ts', /no layer above/],
  ['packages/papers/src/fna/mechanism.ts', '../gna/mechanism.ts', /no other paper/],
  ['packages/papers/src/fna/mechanism.ts', '@saccade/attention/src/plan.ts', /front door/],
  ['packages/papers/src/fna/lab.tsx', '@saccade/site', /arrows point/],
  ['packages/papers/src/gna/claims.ts', 'saccade-cli', /arrows point/],
  ['packages/papers/src/kit/agree.ts', '../fna/mechanism.ts', /knows none of them/],
  ['packages/cli/src/main.ts', '@saccade/site', /not pages/],
  ['packages/site/src/server/main.ts', 'saccade-cli', /two front doors/],
];

const permitted: [path: string, source: string][] = [
  ['packages/attention/src/softmax/attend.ts', '../wgsl/assemble.ts'],
  ['packages/attention/src/device/device.ts', '../softmax/request.ts'],
  ['packages/attention/src/device/device.ts', '../cache/request.ts'],
  ['packages/attention/src/cache/cache.ts', '../softmax/attend.ts'],
  ['packages/attention/src/mods/to-wgsl.ts', '../wgsl/assemble.ts'],
  ['packages/attention/src/device/reference.ts', '../softmax/reference.ts'],
  ['packages/papers/src/fna/mechanism.ts', '../kit/paper.ts'],
  ['packages/papers/src/fna/mechanism.ts', '@saccade/attention'],
  ['packages/cli/src/main.ts', '@saccade/papers'],
];

const importing = (source: string) => `import { x } from '${source}';\nconsole.log(x);\n`;
const numbered = (path: string, index: number, kind: string) =>
  path.replace(/[^/]+(?=\.tsx?$)/, (name) => `${name}-${kind}-${index}`);

let folder: string;
let findings: { category: string; path: string; message: string }[];

// The linter writes no findings for standard input, so the cases become files beside a copy of our rules: one run for all.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-arrows-'));
  const {
    $schema: _schema,
    vcs: _vcs,
    ...rules
  } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'));
  const files: Record<string, string> = {
    'biome.json': JSON.stringify(rules),
    'packages/cli/src/default.ts': 'export default 1;\n',
    'packages/site/vite.config.ts': 'export default 1;\n',
    'packages/attention/src/index.ts': "export * from './tensor.ts';\n",
    'scripts/one.ts': "import { two } from './two.ts';\nexport const one = () => two;\n",
    'scripts/two.ts': "import { one } from './one.ts';\nexport const two = () => one;\n",
    'packages/cli/src/CamelCase.ts': 'export const x = 1;\n',
  };
  forbidden.forEach(([path, source], index) => {
    files[numbered(path, index, 'forbidden')] = importing(source);
  });
  permitted.forEach(([path, source], index) => {
    files[numbered(path, index, 'permitted')] = importing(source);
  });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const result = spawnSync(
    process.execPath,
    [biome, 'lint', '--reporter=json', '--max-diagnostics=none', '.'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  findings = JSON.parse(result.stdout).diagnostics.map(
    (finding: { category: string; message: unknown; location: { path: unknown }; advices: unknown }) => ({
      category: finding.category,
      path: JSON.stringify(finding.location.path),
      message: JSON.stringify([finding.message, finding.advices]),
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const found = (rule: string, path: string) =>
  findings.filter((finding) => finding.category.endsWith(rule) && finding.path.includes(path));

describe('arrows', () => {
  test.each(forbidden.map((line, index) => [...line, index] as const))(
    '%s may not import %s',
    (path, _source, reason, index) => {
      const [finding, ...others] = found('noRestrictedImports', numbered(path, index, 'forbidden'));
      expect(finding?.message).toMatch(reason);
      expect(others).toEqual([]);
    },
  );

  test.each(permitted.map((line, index) => [...line, index] as const))(
    '%s may import %s',
    (path, _source, index) => {
      expect(found('noRestrictedImports', numbered(path, index, 'permitted'))).toEqual([]);
    },
  );
});

describe('modules', () => {
  test('have no default export outside framework files', () => {
    expect(found('noDefaultExport', 'packages/cli/src/default.ts')).toHaveLength(1);
    expect(found('noDefaultExport', 'vite.config.ts')).toEqual([]);
  });

  test('re-export by name, and import in no circle', () => {
    expect(found('noReExportAll', 'packages/attention/src/index.ts')).toHaveLength(1);
    expect(found('noImportCycles', 'scripts/one.ts')).toHaveLength(1);
  });

  test('are called in kebab-case', () => {
    expect(found('useFilenamingConvention', 'CamelCase.ts')).toHaveLength(1);
  });
});
