import { setTimeout as wait } from 'node:timers/promises';
import { ArgumentError, type Device } from '@saccade/attention';
import { findRunnable, papers } from '@saccade/papers';
import { chooseDevice, type DeviceOptions } from '../choose.ts';
import { type Context, onDevice, printJson, progressLine } from '../console.ts';
import { commitOfSources, describeMachine } from '../machine.ts';
import { measurePaper } from '../measure.ts';
import { defaultKeyPath, openWorkerKey } from '../worker-key.ts';
import { SiteRefused, type Taken, type WorkerSite, workerSite } from '../worker-site.ts';

export interface WorkerOptions extends DeviceOptions {
  key?: string;
  showKey?: boolean;
  machine?: string;
  once?: boolean;
}

/** Between questions while there is nothing to do. */
const POLL_MS = 5000;
const MOST_PROGRESS = 300;

/**
 * `saccade worker`: takes measurements from a site's queue, makes them as `saccade check` does, and sends back what was
 * measured, signed. Ends on a signal, after giving back what it has not finished; with --once when nothing waits.
 * @throws ArgumentError where the site does not know this machine's key
 */
export async function worker(
  context: Context,
  site: string | undefined,
  options: WorkerOptions,
): Promise<void> {
  const key = openWorkerKey(options.key ?? defaultKeyPath());
  if (options.showKey) {
    if (context.json) printJson(context, { publicKey: key.publicKey });
    else context.console.out(`${key.publicKey}\n`);
    return;
  }
  if (site === undefined)
    throw new ArgumentError('saccade', 'site', 'missing', 'such as https://papers.example.org');
  const { signal, console } = context;
  const say = (message: string) => {
    if (!context.json) console.error(`${message}\n`);
  };
  const there = workerSite(site, key, { signal, complain: say });
  // Opened now, so that what is wrong with --device is said before anything is taken.
  const first = await chooseDevice(options);
  const machine = describeMachine(first, options.machine);
  await first.close();
  const commit = commitOfSources();
  const able = papers.map(({ slug }) => slug);
  say(`measures for ${site} on ${machine.adapter}`);
  try {
    while (!signal.aborted) {
      const taken = await there.claim({ machine, papers: able });
      if (taken) {
        const ended = await measure(context, there, taken, () => chooseDevice(options), { machine, commit });
        if (context.json) printJson(context, { slug: taken.slug, quick: taken.quick, ended });
        else console.out(`${taken.slug}${taken.quick ? ', quick' : ''}: ${ended}\n`);
      } else if (options.once) return;
      else await wait(POLL_MS, undefined, { signal });
    }
  } catch (error) {
    // A signal ends it as it should end.
    if (!signal.aborted) throw error;
  }
}

/** Makes one measurement. Returns in words how it ended. */
async function measure(
  context: Context,
  site: WorkerSite,
  taken: Taken,
  openDevice: () => Promise<Device>,
  facts: Pick<Parameters<typeof measurePaper>[1], 'machine' | 'commit'>,
): Promise<string> {
  const { slug, quick, leaseSeconds } = taken;
  const lost = new AbortController();
  const onTerminal = progressLine(context);
  let latest = slug;
  const tellSite = async () => {
    try {
      await site.say('progress', taken, { text: latest.slice(0, MOST_PROGRESS) });
    } catch (error) {
      // Without a connection it goes on: the result counts if nobody else has taken the measurement by then.
      if (error instanceof SiteRefused && error.status === 409) lost.abort();
    }
  };
  const beat = setInterval(tellSite, (leaseSeconds * 1000) / 5);
  try {
    const paper = findRunnable(slug);
    if (!paper) throw new Error(`this program has no ${slug}`);
    const device = await openDevice();
    const { ledger, failures } = await onDevice(device, context.signal, () =>
      measurePaper(paper, {
        ...facts,
        device,
        quick,
        signal: AbortSignal.any([context.signal, lost.signal]),
        say: (text) => {
          if (text) latest = text;
          onTerminal(text);
        },
      }),
    );
    await site.say('result', taken, { ledger });
    return failures.length > 0
      ? `sent, ${failures.length} of ${ledger.entries.length} claims could not run`
      : 'sent';
  } catch (error) {
    onTerminal('');
    if (context.signal.aborted) {
      // If this is not heard, the lease runs out and the measurement goes back by itself.
      await site.say('release', taken).catch(() => undefined);
      return 'given back';
    }
    if (lost.signal.aborted) return 'taken away: cancelled, or given to another machine';
    // The site's own refusal of what was sent: saying it again would not change it.
    const { message } = error as Error;
    await site.say('failed', taken, { text: message.slice(0, 2000) }).catch((refused: unknown) => {
      if (!(refused instanceof SiteRefused)) throw refused;
    });
    return `failed: ${message}`;
  } finally {
    clearInterval(beat);
  }
}
