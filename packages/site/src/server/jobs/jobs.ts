import { setTimeout as wait } from 'node:timers/promises';
import type { PgBoss, QueueResult } from 'pg-boss';
import type { Database } from '../database.ts';

/** Work that recurs. Over any number of servers on one database each time is run once. */
export interface Job {
  name: string;
  /** Five fields, in UTC. */
  cron: string;
  /** Ends soon once `signal` aborts. What was killed is run again, so it does each thing once by itself. */
  run(signal: AbortSignal): Promise<void>;
}

export interface JobView {
  name: string;
  waiting: number;
  active: number;
}

export interface Jobs {
  overview(): Promise<JobView[]>;
  /** Runs a job now, beside its schedule. */
  runNow(name: string): Promise<void>;
  /** Takes no more work, tells what runs to end and waits for it, ten seconds at most. */
  stop(): Promise<void>;
}

const STOP_MS = 10_000;
const EXPIRE_SECONDS = 3600;

export interface JobTimes {
  /** How long the start waits, for a server that has its first readers to answer. */
  afterMs?: number;
  /** A job whose server has been silent for so long is run by another; at least 10. */
  silentSeconds?: number;
  /** How often silent servers are looked for. */
  watchSeconds?: number;
  /** How often it is looked which times of schedules have come; at most 45. */
  scheduleSeconds?: number;
  /** How often work is asked for. */
  pollSeconds?: number;
}

/**
 * Queues and schedules by pg-boss on the site's database, in a schema of its own. Returns at once: readers do not wait for
 * the queue, and what is asked of it waits until it is there.
 * @param complain hears of failures; the queue tries again
 */
export function startJobs(
  database: Database,
  jobs: readonly Job[],
  complain: (message: string) => void,
  times: JobTimes = {},
): Jobs {
  const stopping = new AbortController();
  const started = start(database, jobs, complain, times, stopping.signal);
  started.catch((error) => complain(`jobs do not run: ${(error as Error).message}`));
  const queue = async () => {
    const boss = await started;
    if (!boss) throw new Error('the jobs have been stopped');
    return boss;
  };
  const names = jobs.map(({ name }) => name);
  return {
    overview: async () =>
      (await (await queue()).getQueues(names)).map(({ name, queuedCount, activeCount }: QueueResult) => ({
        name,
        waiting: queuedCount,
        active: activeCount,
      })),
    runNow: async (name) => {
      await (await queue()).send(name);
    },
    stop: async () => {
      stopping.abort();
      const boss = await started.catch(() => undefined);
      await boss?.stop({ graceful: true, timeout: STOP_MS });
    },
  };
}

/** The queue at work; undefined if it was stopped before it began. */
async function start(
  database: Database,
  jobs: readonly Job[],
  complain: (message: string) => void,
  { afterMs = 0, silentSeconds = 30, watchSeconds = 60, scheduleSeconds = 30, pollSeconds = 5 }: JobTimes,
  stopping: AbortSignal,
): Promise<PgBoss | undefined> {
  if (afterMs > 0) await wait(afterMs, undefined, { signal: stopping }).catch(() => undefined);
  if (stopping.aborted) return undefined;
  const { PgBoss } = await import('pg-boss');
  const boss = new PgBoss({
    ...database.queue,
    schema: 'jobs',
    application_name: 'saccade jobs',
    superviseIntervalSeconds: watchSeconds,
    monitorIntervalSeconds: watchSeconds,
    cronMonitorIntervalSeconds: scheduleSeconds,
    cronWorkerIntervalSeconds: pollSeconds,
  });
  boss.on('error', (error) => complain(`jobs: ${error.message}`));
  await boss.start();
  for (const { name, cron, run } of jobs) {
    // Without the heartbeat, a job whose server was killed would keep the next ones of its name waiting until it expires.
    const rules = { expireInSeconds: EXPIRE_SECONDS, heartbeatSeconds: silentSeconds, retryLimit: 3 };
    // `singleton`: at most one of a name runs at a time.
    await boss.createQueue(name, { policy: 'singleton', ...rules });
    // A queue that is there already keeps the rules it was made with.
    await boss.updateQueue(name, rules);
    await boss.work(name, { pollingIntervalSeconds: pollSeconds }, async ([job]) => {
      try {
        await run(AbortSignal.any([job.signal, stopping]));
      } catch (error) {
        complain(`${name}: ${(error as Error).message}`);
        throw error;
      }
    });
    await boss.schedule(name, cron);
  }
  return boss;
}
