import { Choice } from './control-panel.tsx';
import { DeviceSelect, GridSelect } from './selects.tsx';
import { kindOfGrid, type Settings, type Sizes, samples } from './settings.ts';
import type { LabSpec } from './spec.ts';

/** What the lab runs on: a sample or the reader's file, how many tokens, which device. */
export function InputBar<O>(props: {
  spec: LabSpec<O>;
  settings: Settings;
  sizes: Sizes;
  set(change: Partial<Settings>): void;
  takeFiles(files: readonly File[]): void;
}) {
  const { spec, settings, sizes, set, takeFiles } = props;
  const kinds = spec.paper.inputs;
  const offered = samples.filter(({ kind }) => kinds.includes(kind));
  const grids = sizes[kindOfGrid(settings.grid)];
  const accept = kinds
    .map((kind) => (kind === 'image' ? 'image/*' : kind === 'clip' ? 'image/*,video/*' : 'text/*,.txt,.md'))
    .join(',');
  return (
    <div className="lab-bar">
      <Choice
        label="input"
        choices={[
          ...offered.map(({ id, label }) => [id, label] as const),
          ...(settings.input === 'own' ? [['own', 'yours'] as const] : []),
        ]}
        value={settings.input}
        onChange={(input) => set({ input })}
      />
      <label className="lab-file">
        <input
          type="file"
          accept={accept}
          multiple={kinds.includes('clip')}
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = '';
            if (files.length > 0) takeFiles(files);
          }}
        />
        <span>Your own file… (or drop it here)</span>
      </label>
      <GridSelect grid={settings.grid} grids={grids} onChange={(grid) => set({ grid })} />
      <DeviceSelect device={settings.device} onChange={(device) => set({ device })} />
    </div>
  );
}
