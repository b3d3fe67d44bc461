import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Rows } from '../compare.ts';
import { type Control, controlsOf } from './controls.ts';
import { type Engine, startEngine } from './engine/client.ts';
import type { Failure, RunResult } from './engine/messages.ts';
import { type Pattern, patternOf } from './pattern.ts';
import {
  centre,
  defaultSettings,
  defaultSizes,
  readSettings,
  type Settings,
  type Sizes,
  samples,
  writeSettings,
} from './settings.ts';
import { loadFiles, loadSample, type Source, tokensOf } from './sources.ts';
import type { Extras, LabSpec, LabView } from './spec.ts';

/** Waits for the reader's hand to rest before a run starts. */
const RUN_DELAY_MS = 250;
/** Browsers refuse a change of address at every step of a drag. */
const ADDRESS_DELAY_MS = 300;
const SAMPLES = 7;

export type Status =
  | { state: 'waiting' }
  | { state: 'running'; fraction: number; what: string }
  | { state: 'done' }
  | { state: 'cancelled' }
  | { state: 'failed'; failure: Failure };

/** State of a lab: settings in the address, the input, the plan, the run. */
export function useLab<O>(spec: LabSpec<O>) {
  const { paper } = spec;
  const sizes: Sizes = useMemo(() => ({ ...defaultSizes, ...spec.sizes }), [spec.sizes]);
  const kinds = paper.inputs;
  const [first] = useState(() => {
    // ranges depend on the grid, which is in the address too: read once for the grid, once for the options
    const search = new URLSearchParams(window.location.search);
    const rough = readSettings(search, { kinds, sizes, controls: [] }).settings;
    const controls = [...controlsOf(paper, spec.hints?.(rough.grid)), ...(spec.extras?.controls ?? [])];
    return readSettings(search, { kinds, sizes, controls });
  });
  const [settings, setSettings] = useState<Settings>(first.settings);
  const [addressNotes, setAddressNotes] = useState<readonly string[]>(first.notes);
  const { grid, input, device } = settings;
  const { overrides, extras } = useMemo(() => split(settings.options, spec.extras), [settings.options, spec]);
  const gridName = grid.join('x');
  const stableGrid = useMemo(() => gridName.split('x').map(Number), [gridName]);

  const controls: Control[] = useMemo(
    () => controlsOf(paper, spec.hints?.(stableGrid)).filter(({ name }) => !spec.hidden?.includes(name)),
    [paper, spec, stableGrid],
  );
  useEffect(() => {
    const timer = setTimeout(() => {
      const search = writeSettings(settings, new URLSearchParams(window.location.search), {
        kinds,
        sizes,
        controls: [...controls, ...(spec.extras?.controls ?? [])],
      });
      const text = search.size > 0 ? `?${search}` : '';
      if (text !== window.location.search)
        window.history.replaceState(
          window.history.state,
          '',
          `${window.location.pathname}${text}${window.location.hash}`,
        );
    }, ADDRESS_DELAY_MS);
    return () => clearTimeout(timer);
  }, [settings, kinds, sizes, controls, spec]);

  const { source, sourceError, takeFiles, dismiss } = useSource(input, kinds, (kind) =>
    setSettings((old) => {
      const like = samples.find((sample) => sample.kind === kind);
      const usual = defaultSettings([kind], sizes);
      const keep = like && old.grid.length === usual.grid.length;
      return { ...old, input: 'own', ...(keep ? {} : { grid: usual.grid, at: usual.at, options: {} }) };
    }),
  );

  // a source that has just been replaced may still have another number of axes than the grid
  const made = useMemo(() => {
    const axes = source && { text: 1, image: 2, clip: 3 }[source.kind];
    if (!source || axes !== stableGrid.length) return {};
    try {
      const input = retouched(source, spec.extras, extras, stableGrid);
      const data = tokensOf(input, stableGrid, spec.extras?.place?.(extras));
      return { data: { ...data, ...spec.extras?.extend?.(data, extras) } };
    } catch (error) {
      return { problem: wordsOf(error) };
    }
  }, [source, stableGrid, spec, extras]);

  const parsed = useMemo(() => {
    const values: Record<string, unknown> = {
      ...(paper.fit(stableGrid) as object),
      ...spec.preset?.(stableGrid),
      ...spec.extras?.options?.(extras, stableGrid),
      ...overrides,
    };
    const result = paper.options.safeParse(values);
    return result.success
      ? { options: result.data as O, values: result.data as Record<string, unknown> }
      : { problem: result.error.issues.map((issue) => issue.message).join('. '), values };
  }, [paper, spec, stableGrid, overrides, extras]);

  const [planned, setPlanned] = useState<{ for: unknown; pattern?: Pattern; problem?: string }>({
    for: undefined,
  });
  useEffect(() => {
    const { data } = made;
    if (!data || !parsed.options) return;
    let current = true;
    patternOf(paper, parsed.options, data).then(
      (pattern) => current && setPlanned({ for: parsed.options, pattern }),
      (error) => current && setPlanned({ for: parsed.options, problem: wordsOf(error) }),
    );
    return () => {
      current = false;
    };
  }, [paper, made, parsed]);

  const [status, setStatus] = useState<Status>({ state: 'waiting' });
  const [result, setResult] = useState<{ run: RunResult; for: unknown; data: unknown }>();
  const [rows, setRows] = useState<Rows>();
  const engine = useRef<Engine>(undefined);
  const asked = useRef<{ options: unknown; data: unknown }>(undefined);
  useEffect(() => {
    const made = startEngine({
      progress: (fraction, what) => setStatus({ state: 'running', fraction, what }),
      done: (run) => {
        setResult({ run, for: asked.current?.options, data: asked.current?.data });
        setStatus({ state: 'done' });
      },
      rows: setRows,
      failed: (failure) => setStatus({ state: 'failed', failure }),
      cancelled: () => setStatus({ state: 'cancelled' }),
    });
    engine.current = made;
    return () => made.close();
  }, []);

  /** What a run or a trial is made of; undefined as long as there is no input, or the options do not fit. */
  const job = useMemo(() => {
    const { data } = made;
    if (!data || !parsed.options) return undefined;
    const { query, key, value, shape, grid } = data;
    const inputs = { query, key, value, shape, grid, notes: [] };
    return { slug: paper.slug, options: parsed.values, inputs, device };
  }, [made, parsed, paper, device]);
  const run = useCallback(() => {
    if (!job || !engine.current) return;
    asked.current = { options: parsed.options, data: made.data };
    setStatus({ state: 'running', fraction: 0, what: 'starting' });
    engine.current.run({ ...job, samples: SAMPLES });
  }, [job, made, parsed]);
  useEffect(() => {
    const timer = setTimeout(run, RUN_DELAY_MS);
    return () => clearTimeout(timer);
  }, [run]);

  const tokens = stableGrid.reduce((all, length) => all * length, 1);
  const query = Math.min(settings.at, tokens - 1);
  const fresh = result && result.data === made.data ? result : undefined;
  useEffect(() => {
    if (fresh) engine.current?.row(query, settings.head);
  }, [fresh, query, settings.head]);

  const startTrial: LabView<O>['startTrial'] = ({ name, settings, device = job?.device ?? 'auto' }, events) =>
    job && engine.current?.trial({ ...job, name, settings, device }, events);

  const set = useCallback(
    (change: Partial<Settings>) => {
      setAddressNotes([]);
      dismiss(); // a file that was refused is forgotten with the next thing the reader does
      setSettings((old) => {
        const next = { ...old, ...change };
        if (change.input && change.input !== old.input && !change.grid) {
          const kind = samples.find(({ id }) => id === change.input)?.kind;
          const axes = kind && { text: 1, image: 2, clip: 3 }[kind];
          if (kind && axes !== old.grid.length) {
            const usual = defaultSettings([kind], sizes);
            return { ...next, grid: usual.grid, at: usual.at, options: change.options ?? {} };
          }
        }
        if (change.grid && change.grid.join() !== old.grid.join()) {
          next.at = change.at ?? centre(change.grid);
          if (change.grid.length !== old.grid.length) next.options = change.options ?? {};
        }
        return next;
      });
    },
    [sizes, dismiss],
  );

  const stale = status.state === 'running' || result?.for !== parsed.options || result?.data !== made.data;
  const view: LabView<O> | undefined =
    made.data && parsed.options
      ? {
          grid: stableGrid,
          options: parsed.options,
          query,
          head: settings.head,
          data: made.data,
          pieces: made.data.pieces,
          pattern: planned.pattern && planned.for === parsed.options ? planned.pattern : undefined,
          result: fresh?.run,
          stale,
          rows: fresh && rows?.query === query ? rows : undefined,
          extras,
          startTrial,
          setOption: (name, value) =>
            setSettings((old) => ({ ...old, options: { ...old.options, [name]: value } })),
          selectQuery: (token) => setSettings((old) => ({ ...old, at: token })),
        }
      : undefined;
  return {
    settings,
    set,
    sizes,
    controls,
    values: parsed.values,
    extras,
    view,
    status,
    source,
    takeFiles,
    run,
    cancel: () => engine.current?.cancel(),
    notes: [...addressNotes, ...(made.data?.notes ?? [])],
    problem:
      sourceError ??
      made.problem ??
      parsed.problem ??
      (planned.for === parsed.options ? planned.problem : undefined),
  };
}

/** Settings of the paper's options, and of the lab's own controls. */
function split(settings: Settings['options'], extras: Extras | undefined) {
  const overrides: Record<string, unknown> = {};
  const own: Record<string, unknown> = { ...extras?.defaults };
  for (const [name, value] of Object.entries(settings))
    (extras?.controls.some((control) => control.name === name) ? own : overrides)[name] = value;
  return { overrides, extras: own };
}

function retouched(
  source: Source,
  extras: Extras | undefined,
  values: Readonly<Record<string, unknown>>,
  grid: readonly number[],
): Source {
  const { retouch } = extras ?? {};
  if (!retouch || source.kind === 'text') return source;
  if (source.kind === 'image') return { ...source, pixels: retouch(source.pixels, values, grid) };
  return { ...source, frames: source.frames.map((frame) => retouch(frame, values, grid)) };
}

/** The decoded input: a sample by its id, or what the reader gave. */
function useSource(
  input: string,
  kinds: LabSpec<unknown>['paper']['inputs'],
  onOwn: (kind: Source['kind']) => void,
) {
  const [loaded, setLoaded] = useState<{ id: string; source: Source }>();
  const [problem, setProblem] = useState<{ id: string; text: string }>();
  useEffect(() => {
    if (input === 'own') return;
    let current = true;
    loadSample(input).then(
      (source) => {
        if (!current) return;
        setLoaded({ id: input, source });
        setProblem(undefined);
      },
      (error) => current && setProblem({ id: input, text: wordsOf(error) }),
    );
    return () => {
      current = false;
    };
  }, [input]);
  const own = useRef(onOwn);
  own.current = onOwn;
  const takeFiles = useCallback(
    async (files: readonly File[]) => {
      try {
        const source = await loadFiles(files, kinds);
        setLoaded({ id: 'own', source });
        setProblem(undefined);
        own.current(source.kind);
      } catch (error) {
        setProblem({ id: '', text: wordsOf(error) });
      }
    },
    [kinds],
  );
  return {
    source: loaded?.id === input ? loaded.source : undefined,
    sourceError: problem?.text,
    takeFiles,
    dismiss: useCallback(() => setProblem(undefined), []),
  };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
