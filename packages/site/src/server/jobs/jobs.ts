import { PgBoss, type QueueResult } from 'pg-boss';
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

/**
 * Queues and schedules by pg-boss on the site's database, in a schema of its own.
 * @param complain hears of failures; the queue tries again
 */
export async function startJobs(
  database: Database,
  jobs: readonly Job[],
  complain: (message: string) => void,
): Promise<Jobs> {
  const boss = new PgBoss({ ...database.queue, schema: 'jobs', application_name: 'saccade jobs' });
  boss.on('error', (error) => complain(`jobs: ${error.message}`));
  const stopping = new AbortController();
  await boss.start();
  for (const { name, cron, run } of jobs) {
    // `singleton`: at most one of a name runs at a time.
    await boss.createQueue(name, { policy: 'singleton', expireInSeconds: EXPIRE_SECONDS, retryLimit: 3 });
    await boss.work(name, { pollingIntervalSeconds: 5 }, async ([job]) => {
      try {
        await run(AbortSignal.any([job.signal, stopping.signal]));
      } catch (error) {
        complain(`${name}: ${(error as Error).message}`);
        throw error;
      }
    });
    await boss.schedule(name, cron);
  }
  const names = jobs.map(({ name }) => name);
  return {
    overview: async () =>
      (await boss.getQueues(names)).map(({ name, queuedCount, activeCount }: QueueResult) => ({
        name,
        waiting: queuedCount,
        active: activeCount,
      })),
    runNow: async (name) => {
      await boss.send(name);
    },
    stop: async () => {
      stopping.abort();
      await boss.stop({ graceful: true, timeout: STOP_MS });
    },
  };
}
