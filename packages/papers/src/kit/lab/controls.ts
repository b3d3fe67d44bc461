import { z } from 'zod';
import type { Paper } from '../paper.ts';

/** One option as the lab shows it, read from the option's own schema. */
export type Control =
  | RangeControl
  | { kind: 'switch'; name: string; label: string; help: string }
  | { kind: 'choice'; name: string; label: string; help: string; choices: readonly string[] }
  /** One value an axis of the grid. */
  | { kind: 'axes'; name: string; label: string; help: string; item: RangeControl | 'switch' };

export interface RangeControl {
  kind: 'range';
  name: string;
  label: string;
  help: string;
  unit: string;
  min: number;
  max: number;
  step: number;
}

/** What a lab knows better than the schema: the useful range for a grid. */
export type ControlHints = Record<
  string,
  Partial<Pick<RangeControl, 'min' | 'max' | 'step' | 'label' | 'unit'>>
>;

/** Beyond this a slider is no use; a schema without a maximum, or a lab, may say better. */
const FALLBACK_MAX = 64;

interface Schema {
  type?: string;
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly Schema[];
  items?: Schema;
  prefixItems?: readonly Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  label?: string;
  unit?: string;
  step?: number;
  min?: number;
  max?: number;
  description?: string;
  properties?: Record<string, Schema>;
}

/**
 * The controls of a paper's options. `grid` is left out (the lab's size picker sets it), and so is what has no
 * control here (open text, nested records): it keeps its default.
 */
export function controlsOf<O>(paper: Paper<O>, hints: ControlHints = {}): Control[] {
  const schema = z.toJSONSchema(paper.options, { io: 'input', unrepresentable: 'any' }) as Schema;
  const controls: Control[] = [];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (name === 'grid') continue;
    const control = controlOf(name, property, hints[name] ?? {});
    if (control) controls.push(control);
  }
  return controls;
}

function controlOf(name: string, given: Schema, hint: ControlHints[string]): Control | undefined {
  const schema = simplest(given);
  const label = hint.label ?? given.label ?? schema.label ?? words(name);
  const help = given.description ?? schema.description ?? '';
  const choices = choicesOf(schema);
  if (choices) return { kind: 'choice', name, label, help, choices };
  if (schema.type === 'boolean') return { kind: 'switch', name, label, help };
  if (schema.type === 'integer' || schema.type === 'number')
    return rangeOf(name, { ...schema, ...given }, label, hint);
  if (schema.type === 'array') {
    const item = simplest(schema.items ?? schema.prefixItems?.[0] ?? {});
    if (item.type === 'boolean') return { kind: 'axes', name, label, help, item: 'switch' };
    if (item.type === 'integer' || item.type === 'number') {
      const range = rangeOf(name, { ...item, step: given.step, unit: given.unit }, label, hint);
      return { kind: 'axes', name, label, help, item: range };
    }
  }
  return undefined;
}

/** Of a union, the part a control can show: an array before a number, as it can say everything the number can. */
function simplest(schema: Schema): Schema {
  if (!schema.anyOf || choicesOf(schema)) return schema;
  const parts = schema.anyOf.filter((part) => part.type !== 'null');
  return parts.find((part) => part.type === 'array') ?? parts[0] ?? schema;
}

function choicesOf(schema: Schema): string[] | undefined {
  if (schema.enum?.every((choice) => typeof choice === 'string')) return schema.enum as string[];
  const constants = schema.anyOf?.map((part) => part.const);
  return constants?.every((choice) => typeof choice === 'string') ? (constants as string[]) : undefined;
}

function rangeOf(name: string, schema: Schema, label: string, hint: ControlHints[string]): RangeControl {
  const whole = schema.type === 'integer';
  const step = hint.step ?? schema.step ?? schema.multipleOf ?? (whole ? 1 : 0.05);
  const lowest =
    schema.minimum ?? (schema.exclusiveMinimum === undefined ? 0 : schema.exclusiveMinimum + step);
  const highest =
    schema.maximum ?? (schema.exclusiveMaximum === undefined ? undefined : schema.exclusiveMaximum - step);
  const min = hint.min ?? schema.min ?? (lowest > -1e9 ? lowest : 0);
  const max = hint.max ?? schema.max ?? (highest !== undefined && highest < 1e5 ? highest : FALLBACK_MAX);
  return {
    kind: 'range',
    name,
    label,
    help: schema.description ?? '',
    unit: hint.unit ?? schema.unit ?? '',
    min,
    max: Math.max(min, max),
    step,
  };
}

/** `blockSize` as `block size`. */
function words(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}

/** Names of a grid's axes, as the reader sees them. */
export function axisNames(rank: number): readonly string[] {
  return rank === 1 ? ['tokens'] : rank === 2 ? ['rows', 'columns'] : ['frames', 'rows', 'columns'];
}
