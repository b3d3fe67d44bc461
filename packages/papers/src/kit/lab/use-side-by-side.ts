import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { InputKind, Paper } from '../paper.ts';
import { type Engine, type EngineEvents, startEngine } from './engine/client.ts';
import type { RunResult } from './engine/messages.ts';
import { type Pattern, patternOf } from './pattern.ts';
import { defaultSizes, readSettings, type Settings, writeSettings } from './settings.ts';
import { loadSample, type Source, tokensOf } from './sources.ts';

type Rows = Parameters<EngineEvents['rows']>[0];

const SAMPLES = 7;

/** What is known of one of the mechanisms for the present settings. */
export interface Side {
  paper: Paper;
  pattern?: Pattern;
  result?: RunResult;
  rows?: Rows;
  /** What it is doing, in words. */
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  says: string;
}

/** Kinds of input that all of the papers take, in the first one's order. */
export const commonKinds = (papers: readonly Paper[]): InputKind[] =>
  (papers[0]?.inputs ?? []).filter((kind) => papers.every((paper) => paper.inputs.includes(kind)));

const fresh = (paper: Paper): Side => ({ paper, state: 'waiting', says: 'waiting for its turn' });

/**
 * Several mechanisms on one input: settings in the address, the plans, and the runs, one after the other so that none
 * disturbs another's time. Each has its options as its paper takes them for the grid.
 */
export function useSideBySide(papers: readonly Paper[]) {
  const slugs = papers.map(({ slug }) => slug).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same papers in another array are the same
  const stable = useMemo(() => papers, [slugs]);
  const kinds = useMemo(() => commonKinds(stable), [stable]);
  const spec = useMemo(() => ({ kinds, sizes: defaultSizes, controls: [] }), [kinds]);
  const [first] = useState(() => readSettings(new URLSearchParams(window.location.search), spec));
  const [settings, setSettings] = useState<Settings>(first.settings);
  const { input, device, head } = settings;
  const gridName = settings.grid.join('x');
  const grid = useMemo(() => gridName.split('x').map(Number), [gridName]);
  useEffect(() => {
    const timer = setTimeout(() => {
      const search = writeSettings(settings, new URLSearchParams(window.location.search), spec);
      window.history.replaceState(window.history.state, '', `?${search}${window.location.hash}`);
    }, 300);
    return () => clearTimeout(timer);
  }, [settings, spec]);

  const [source, setSource] = useState<{ id: string; source?: Source; problem?: string }>();
  useEffect(() => {
    let current = true;
    loadSample(input).then(
      (loaded) => current && setSource({ id: input, source: loaded }),
      (error) => current && setSource({ id: input, problem: wordsOf(error) }),
    );
    return () => {
      current = false;
    };
  }, [input]);
  const loaded = source?.id === input ? source : undefined;
  const data = useMemo(() => {
    const axes = loaded?.source && { text: 1, image: 2, clip: 3 }[loaded.source.kind];
    return loaded?.source && axes === grid.length ? tokensOf(loaded.source, grid) : undefined;
  }, [loaded, grid]);

  const [sides, setSides] = useState<readonly Side[]>(() => stable.map(fresh));
  const change = useCallback(
    (at: number, part: Partial<Side>) =>
      setSides((old) => old.map((side, i) => (i === at ? { ...side, ...part } : side))),
    [],
  );

  const engines = useRef<Engine[]>([]);
  const run = useCallback(
    (at: number) => {
      const paper = stable[at];
      if (!paper || !data) return;
      change(at, { state: 'running', says: 'starting' });
      engines.current[at]?.run({
        slug: paper.slug,
        options: paper.fit(grid) as Record<string, unknown>,
        inputs: {
          query: data.query,
          key: data.key,
          value: data.value,
          shape: data.shape,
          grid: data.grid,
          notes: [],
        },
        device,
        samples: SAMPLES,
      });
    },
    [stable, data, grid, device, change],
  );
  const next = useRef(run);
  next.current = run;
  useEffect(() => {
    engines.current = stable.map((_, at) =>
      startEngine({
        progress: (_fraction, what) => change(at, { says: what }),
        done: (result) => {
          change(at, { result, state: 'done', says: 'measured on this machine' });
          next.current(at + 1);
        },
        rows: (rows) => change(at, { rows }),
        failed: ({ message }) => {
          change(at, { state: 'failed', says: message });
          next.current(at + 1);
        },
        cancelled: () => change(at, { state: 'cancelled', says: 'cancelled' }),
      }),
    );
    return () => {
      for (const engine of engines.current) engine.close();
      engines.current = [];
    };
  }, [stable, change]);

  useEffect(() => {
    setSides(stable.map(fresh));
    if (!data) return;
    let current = true;
    stable.forEach((paper, at) => {
      patternOf(paper, paper.options.parse(paper.fit(grid)), data).then(
        (pattern) => current && change(at, { pattern }),
        (error) => current && change(at, { says: wordsOf(error) }),
      );
    });
    run(0);
    return () => {
      current = false;
    };
  }, [stable, data, grid, run, change]);

  const query = Math.min(settings.at, grid.reduce((all, length) => all * length, 1) - 1);
  const finished = sides.map(({ result }) => result?.id ?? 0).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a run that has finished has rows to give
  useEffect(() => {
    for (const engine of engines.current) engine.row(query, head);
  }, [query, head, finished]);

  return {
    settings,
    set: (part: Partial<Settings>) => setSettings((old) => ({ ...old, ...part })),
    kinds,
    grid,
    query,
    data,
    sides: sides.map((side) => (side.rows?.query === query ? side : { ...side, rows: undefined })),
    notes: first.notes,
    problem: loaded?.problem,
    again: () => run(0),
  };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
