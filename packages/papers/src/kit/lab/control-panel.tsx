import { useId } from 'react';
import { axisNames, type Control, type RangeControl } from './controls.ts';

interface Settable {
  /** Current values of all options. */
  values: Readonly<Record<string, unknown>>;
  /** Axes of the grid. */
  rank: number;
  onChange(name: string, value: unknown): void;
}

/** Sliders, switches and choices for a paper's options. */
export function ControlPanel({ controls, ...settable }: Settable & { controls: readonly Control[] }) {
  return controls.map((control) => <One key={control.name} control={control} {...settable} />);
}

function One({ control, values, rank, onChange }: Settable & { control: Control }) {
  const value = values[control.name];
  switch (control.kind) {
    case 'range':
      return (
        <Range
          range={control}
          label={control.label}
          value={Number(value ?? control.min)}
          onChange={(next) => onChange(control.name, next)}
        />
      );
    case 'switch':
      return (
        <Switch
          label={control.label}
          help={control.help}
          on={value === true}
          onChange={(next) => onChange(control.name, next)}
        />
      );
    case 'choice':
      return (
        <Choice
          label={control.label}
          choices={control.choices}
          value={String(value)}
          onChange={(next) => onChange(control.name, next)}
        />
      );
    case 'axes': {
      const { item } = control;
      const list = Array.from({ length: rank }, (_, axis) =>
        Array.isArray(value) ? (value[axis] ?? value[0]) : value,
      );
      const set = (axis: number, next: unknown) =>
        onChange(
          control.name,
          list.map((old, other) => (other === axis ? next : (old ?? (item === 'switch' ? false : item.min)))),
        );
      const names = axisNames(rank);
      const labelOf = (axis: number) => (rank === 1 ? control.label : `${control.label}, ${names[axis]}`);
      return list.map((one, axis) =>
        item === 'switch' ? (
          <Switch
            key={names[axis]}
            label={labelOf(axis)}
            help={control.help}
            on={one === true}
            onChange={(next) => set(axis, next)}
          />
        ) : (
          <Range
            key={names[axis]}
            range={item}
            label={labelOf(axis)}
            value={Number(one ?? item.min)}
            onChange={(next) => set(axis, next)}
          />
        ),
      );
    }
  }
}

export function Range(props: {
  range: Pick<RangeControl, 'min' | 'max' | 'step'> & { unit?: string; help?: string };
  label: string;
  value: number;
  onChange(value: number): void;
}) {
  const { range, label, value, onChange } = props;
  const id = useId();
  const shown = Number.isInteger(range.step) ? String(value) : value.toFixed(2);
  const unit = value === 1 ? range.unit?.replace(/s$/, '') : range.unit;
  return (
    <div className="lab-control" title={range.help || undefined}>
      <label htmlFor={id}>
        {label}{' '}
        <output htmlFor={id}>
          {shown}
          {unit ? ` ${unit}` : ''}
        </output>
      </label>
      <input
        id={id}
        type="range"
        min={range.min}
        max={range.max}
        step={range.step}
        value={value}
        aria-valuetext={`${shown}${unit ? ` ${unit}` : ''}`}
        onChange={(event) => onChange(Number(event.currentTarget.value))}
      />
    </div>
  );
}

export function Switch(props: { label: string; help: string; on: boolean; onChange(on: boolean): void }) {
  return (
    <label className="lab-control lab-switch" title={props.help || undefined}>
      <input
        type="checkbox"
        role="switch"
        aria-checked={props.on}
        checked={props.on}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}

/** A few choices side by side, of which one is taken. */
export function Choice<T extends string>(props: {
  label: string;
  choices: readonly (T | readonly [T, string])[];
  value: T;
  onChange(value: T): void;
}) {
  const name = useId();
  return (
    <fieldset className="lab-control lab-choice">
      <legend>{props.label}</legend>
      <div>
        {props.choices.map((choice) => {
          const [value, label] = typeof choice === 'string' ? [choice, choice] : choice;
          return (
            <label key={value}>
              <input
                type="radio"
                name={name}
                value={value}
                checked={value === props.value}
                onChange={() => props.onChange(value)}
              />
              <span>{label}</span>
            </label>
          );
        })}
      </div>
    </fieldset>
  );
}
