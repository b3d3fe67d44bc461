import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from '../../packages/cli/src/machine.ts';
import type { Row } from './row.ts';

/** Tests whose sizes the suite keeps small, and the variable that gives them the table's. */
const suites = {
  votes: {
    file: 'packages/site/src/server/crowd.test.ts',
    size: { SACCADE_CLIENTS: '100' },
    atLeast: 'of 1,000 votes none lost, none double; with two servers one is killed',
  },
  kill: {
    file: 'packages/site/src/server/kill.test.ts',
    size: { SACCADE_WRITES: '1000' },
    atLeast: 'no acknowledged write lost, opens again',
  },
  digest: {
    file: 'packages/site/src/server/mail/crash.test.ts',
    size: { SACCADE_SUBSCRIBERS: '1000' },
    atLeast: 'each of 1,000 gets exactly one',
  },
} as const;
export type SuiteName = keyof typeof suites;

interface Report {
  testResults: { assertionResults: { fullName: string; status: string; duration?: number }[] }[];
}

/** Runs one of the tests in the size of the table; a row for each engine. */
export function suiteRows(name: SuiteName): Row[] {
  const { file, size, atLeast } = suites[name];
  const folder = mkdtempSync(join(tmpdir(), 'saccade-load-'));
  const report = join(folder, 'report.json');
  spawnSync(
    process.execPath,
    [
      join(repository, 'node_modules/vitest/vitest.mjs'),
      'run',
      file,
      '--reporter=json',
      `--outputFile=${report}`,
    ],
    { cwd: repository, env: { ...process.env, ...size }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  rmSync(folder, { recursive: true, force: true });
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ fullName, status, duration = 0 }) => ({
      what: fullName.replace(/ \(skipped without .*?\)/, ''),
      figures: { seconds: Math.round(duration / 1000) },
      atLeast,
      holds: status === 'passed',
    })),
  );
}
