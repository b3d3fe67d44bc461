import type { DeviceKind } from '@saccade/attention';
import type { ComponentType } from 'react';
import type { Rows } from '../compare.ts';
import type { Paper } from '../paper.ts';
import type { Control, ControlHints } from './controls.ts';
import type { TrialEvents } from './engine/client.ts';
import type { RunResult } from './engine/messages.ts';
import type { TokenInputs } from './features.ts';
import type { Overlay } from './panes.tsx';
import type { Pattern } from './pattern.ts';
import type { Settings, Sizes } from './settings.ts';
import type { Pixels } from './tokens.ts';

/** What the parts of a lab that belong to one paper can see and do. */
export interface LabView<O> {
  grid: readonly number[];
  /** Parsed: what the mechanism runs with. */
  options: O;
  query: number;
  head: number | 'all';
  data: TokenInputs;
  /** Words of a text. */
  pieces?: readonly string[];
  /** The plan for these options; follows a slider at once. */
  pattern?: Pattern;
  /** Of the last finished run; `stale` while a newer one is under way. */
  result?: RunResult;
  stale: boolean;
  /** Attention of the query in the last finished run. */
  rows?: Rows;
  /** Values of the lab's own controls. */
  extras: Readonly<Record<string, unknown>>;
  /** Sets an option, or one of the lab's own controls. */
  setOption(name: string, value: unknown): void;
  selectQuery(token: number): void;
  /** Starts one of the paper's trials on this input; see useTrial(). @returns what cancels it */
  startTrial(
    spec: { name: string; settings: unknown; device?: DeviceKind },
    events: TrialEvents,
  ): (() => void) | undefined;
}

/**
 * Controls that are the lab's and not the paper's: they live in the address like options, and change the input or set
 * options that have no control of their own.
 */
export interface Extras {
  title: string;
  controls: readonly Control[];
  defaults: Readonly<Record<string, unknown>>;
  /** Options that follow from the values. */
  options?(values: Readonly<Record<string, unknown>>, grid: readonly number[]): Record<string, unknown>;
  /** What the values do to a picture before it becomes tokens. */
  retouch?(pixels: Pixels, values: Readonly<Record<string, unknown>>, grid: readonly number[]): Pixels;
  /** How much the heads go by place, beside looks: 1 unless said, 0 for looks alone. */
  place?(values: Readonly<Record<string, unknown>>): number;
  /** Tokens that the values add after those of the grid. */
  extend?(data: TokenInputs, values: Readonly<Record<string, unknown>>): TokenInputs;
}

/** One paper's lab: everything else comes from the frame and from the paper's own options. */
export interface LabSpec<O> {
  paper: Paper<O>;
  /** The first line: what the reader can find out here. */
  question: string;
  /** Options shown first and large: the control that matters. */
  main: readonly string[];
  /** Options without a control here. */
  hidden?: readonly string[];
  extras?: Extras;
  /** Options that the lab sets beside what the paper takes for a grid. */
  preset?(grid: readonly number[]): Readonly<Record<string, unknown>>;
  /** Whether the plan follows from the shape (`once`) or from the input (`every call`). */
  planning: 'once' | 'every call';
  sizes?: Partial<Sizes>;
  /** Useful ranges for a grid, where the schema cannot know them. */
  hints?(grid: readonly number[]): ControlHints;
  /** Three settings worth a look. */
  tries: readonly { label: string; settings: Partial<Settings> }[];
  /** Drawn on the mechanism's pane. */
  overlay?(view: LabView<O>): Overlay;
  /** Scene and panels of the paper's own, below the panes. */
  Panels?: ComponentType<{ view: LabView<O> }>;
}
