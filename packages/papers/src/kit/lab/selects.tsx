import type { DeviceChoice } from './settings.ts';

/** How many tokens: the grids that the input can be cut into. */
export function GridSelect(props: {
  grid: readonly number[];
  grids: readonly (readonly number[])[];
  onChange(grid: number[]): void;
}) {
  return (
    <label className="lab-select">
      <span>tokens</span>
      <select
        value={props.grid.join('x')}
        onChange={(event) => props.onChange(event.currentTarget.value.split('x').map(Number))}
      >
        {props.grids.map((grid) => (
          <option key={grid.join('x')} value={grid.join('x')}>
            {grid.length > 1 ? `${grid.join(' × ')} = ` : ''}
            {grid.reduce((all, size) => all * size, 1)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Which device the lab runs on. */
export function DeviceSelect(props: { device: DeviceChoice; onChange(device: DeviceChoice): void }) {
  return (
    <label className="lab-select">
      <span>runs on</span>
      <select
        value={props.device}
        onChange={(event) => props.onChange(event.currentTarget.value as DeviceChoice)}
      >
        <option value="auto">best here</option>
        <option value="webgpu">WebGPU</option>
        <option value="wasm">WebAssembly</option>
      </select>
    </label>
  );
}
