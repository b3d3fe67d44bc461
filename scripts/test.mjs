// `npm test`: everything, in one word. Plain JavaScript for any Node from 18 on.
// All stages run even when one fails; the last line counts, the exit code tells.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import { childEnvironment, install, pinnedNode, root } from './install.mjs';
import { installPeers } from './peers.mjs';
import { startPostgres } from './postgres.mjs';
import { prepareSystem } from './system.mjs';

const reports = join(root, '.cache/test');
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

/** Runs one stage; whatever goes wrong in it is told at once and makes the run fail, without ending it. */
async function stage(name, work) {
  const start = Date.now();
  console.log(`\n── ${name}`);
  try {
    await work();
    console.log(`── ${name}: ok, ${seconds(start)}`);
  } catch (error) {
    failures.push(name);
    console.error(`── ${name}: failed, ${seconds(start)}: ${error.message}`);
  }
}

const seconds = (start) => `${((Date.now() - start) / 1000).toFixed(1)} s`;

function run(script, args, environment) {
  const result = spawnSync(pinnedNode(), [join(root, script), ...args], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.error) throw result.error;
  return result;
}

function expectSuccess(result, what) {
  if (result.status !== 0)
    throw new Error(`${what} ended with ${result.signal ?? `exit code ${result.status}`}`);
}

const reportOf = (project) => join(reports, `${project}.json`);

function vitestArgs(project) {
  rmSync(reportOf(project), { force: true });
  return [
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${reportOf(project)}`,
  ];
}

/** Runs one of vitest's projects. */
function vitest(project, environment) {
  count(project, run('node_modules/vitest/vitest.mjs', vitestArgs(project), environment));
}

/**
 * Starts a project that asks for little but time beside the stages that come: it takes what those leave of the processor, which
 * they do whenever they wait for a page, a server or a clock.
 * @returns waits for its end, tells what it printed, and counts
 */
function vitestBeside(project, environment) {
  const log = join(reports, `${project}.log`);
  const output = openSync(log, 'w');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const child = spawn(pinnedNode(), [vitest, ...vitestArgs(project)], {
    cwd: root,
    env: environment,
    stdio: ['ignore', output, output],
  });
  const ended = once(child, 'close').then(([status, signal]) => ({ status, signal }));
  ended.catch(() => {}); // told of by the stage that waits for it
  // at once: stages that come hold this process until they are over
  if (child.pid) setPriority(child.pid, 5);
  process.once('exit', () => child.kill());
  return async () => {
    const result = await ended;
    closeSync(output);
    process.stdout.write(readFileSync(log, 'utf8'));
    count(project, result);
  };
}

/** Adds a project's counts; a file that cannot be loaded counts as one failure. */
function count(project, result) {
  const report = reportOf(project);
  if (existsSync(report)) {
    const told = JSON.parse(readFileSync(report, 'utf8'));
    counts.passed += told.numPassedTests;
    counts.failed += told.numFailedTests;
    counts.skipped += told.numPendingTests + told.numTodoTests;
    for (const file of told.testResults)
      if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'))
        counts.failed++;
  } else {
    counts.failed++;
  }
  expectSuccess(result, `the ${project} tests`);
}

const start = Date.now();
let environment;
try {
  install();
  mkdirSync(reports, { recursive: true });
  environment = childEnvironment();
} catch (error) {
  console.error(`npm test: ${error.message}`);
  console.log('Tests: 0 passed, 1 failed, 0 skipped');
  process.exit(1);
}

await stage('build', () => {
  build('wasm');
  build('site');
});
await stage('peers', installPeers);
let postgres;
await stage('machine', async () => {
  const system = prepareSystem();
  environment = system.environment;
  console.log(`Adapter: ${system.adapter}. Browser: ${system.chromium}.`);
  if (environment.TEST_DATABASE_URL) {
    console.log('PostgreSQL: the one of TEST_DATABASE_URL.');
    return;
  }
  try {
    postgres = await startPostgres();
    environment.TEST_DATABASE_URL = postgres.url;
    console.log('PostgreSQL: one of our own, for this run.');
  } catch (error) {
    console.log(`PostgreSQL: its tests are skipped: ${error.message}.`);
  }
});
const kernelTests = vitestBeside('gpu', environment);
await stage('types', () =>
  expectSuccess(
    run('node_modules/typescript/bin/tsc', ['--noEmit', '-p', 'tsconfig.json'], environment),
    'tsc',
  ),
);
await stage('lint and format', () =>
  expectSuccess(run('node_modules/@biomejs/biome/bin/biome', ['check', '.'], environment), 'biome'),
);
await stage('unit tests', () => vitest('unit', environment));
await stage('browser tests', () => vitest('page', environment));
await stage('kernel tests', kernelTests);
await postgres?.stop();

console.log(
  `\n${failures.length ? `Failed: ${failures.join(', ')}.` : 'All stages passed.'} ${Math.round((Date.now() - start) / 1000)} s.`,
);
// A stage without tests of its own, such as the type check, counts when it fails.
if (failures.length > 0 && counts.failed === 0) counts.failed = failures.length;
console.log(`Tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(failures.length ? 1 : 0);
