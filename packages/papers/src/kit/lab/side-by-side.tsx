import type { Paper } from '../paper.ts';
import { Choice } from './control-panel.tsx';
import { PicturePane, placeOf, TextPane } from './panes.tsx';
import { bytes, faster, milliseconds, operations, percent } from './readout.tsx';
import { DeviceSelect, GridSelect } from './selects.tsx';
import { centre, defaultSizes, kindOfGrid, middle, samples } from './settings.ts';
import { commonKinds, type Side, useSideBySide } from './use-side-by-side.ts';
import './lab.css';

/**
 * Two to four mechanisms on the same input and device, each beside dense attention: one row of pictures, one table. The
 * address has all that it takes to see the same again. Mount it in the browser only.
 */
export function SideBySide({ papers }: { papers: readonly Paper[] }) {
  if (commonKinds(papers).length > 0) return <Shown papers={papers} />;
  return (
    <p className="lab-problem" role="alert">
      These take no common kind of input:{' '}
      {papers.map(({ slug, inputs }) => `${slug} takes ${inputs.join(' or ')}`).join('; ')}.
    </p>
  );
}

function Shown({ papers }: { papers: readonly Paper[] }) {
  const compared = useSideBySide(papers);
  const { settings, set, kinds, grid, query, data, sides, problem } = compared;
  const done = sides.every(({ state }) => state === 'done' || state === 'failed' || state === 'cancelled');
  const shared = { grid, query, onQuery: (at: number) => set({ at }) };
  const dense = sides.find(({ rows }) => rows)?.rows?.dense;
  const pieces = data && 'pieces' in data ? data.pieces : undefined;
  const pane = (title: string, caption: string, side?: Side) => {
    const levels = side?.pattern?.levels(query);
    const weights = side ? side.rows?.mechanism : dense;
    if (!data) return null;
    if (pieces)
      return (
        <TextPane
          key={title}
          {...shared}
          title={title}
          caption={caption}
          pieces={pieces}
          levels={levels}
          weights={weights}
        />
      );
    return (
      <PicturePane
        key={title}
        {...shared}
        title={title}
        caption={caption}
        picture={side?.result?.output ?? data.value}
        shape={data.shape}
        head={settings.head}
        levels={levels}
        weights={weights}
      />
    );
  };
  return (
    <section className="lab" aria-label="Side by side" data-lab-state={done ? 'done' : 'running'}>
      <div className="lab-bar">
        <Choice
          label="input"
          choices={samples
            .filter(({ kind }) => kinds.includes(kind))
            .map(({ id, label }) => [id, label] as const)}
          value={settings.input}
          onChange={(input) => {
            const kind = samples.find(({ id }) => id === input)?.kind ?? kinds[0];
            const other = kindOfGrid(settings.grid) === kind ? settings.grid : middle(defaultSizes[kind]);
            set({ input, grid: other, at: centre(other) });
          }}
        />
        <GridSelect
          grid={grid}
          grids={defaultSizes[kindOfGrid(grid)]}
          onChange={(other) => set({ grid: other, at: centre(other) })}
        />
        <DeviceSelect device={settings.device} onChange={(device) => set({ device })} />
      </div>
      {compared.notes.map((note) => (
        <p key={note} className="lab-note">
          {note}
        </p>
      ))}
      {problem && (
        <p className="lab-problem" role="alert">
          {problem}
        </p>
      )}
      <div className="lab-panes">
        {pane('Dense', `${placeOf(grid, query)} looks at every token`)}
        {sides.map((side) => pane(side.paper.slug, seenOf(side, query), side))}
      </div>
      <Table sides={sides} />
      <div className="lab-status" role="status">
        <span>
          {done ? 'Measured on this machine, one after the other.' : 'Measuring, one after the other.'}
        </span>
        <button type="button" onClick={compared.again}>
          Run again
        </button>
      </div>
    </section>
  );
}

function seenOf({ pattern }: Side, query: number): string {
  if (!pattern) return '';
  const levels = pattern.levels(query);
  const seen = levels.filter((level) => level === 2).length;
  return `looks at ${seen} of ${levels.length} (${percent(seen / levels.length)})`;
}

function Table({ sides }: { sides: readonly Side[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="table-scroll" tabIndex={0} aria-label="Numbers">
      <table className="ledger">
        <caption>
          The same input and options as each paper takes them for this grid; medians, dense in turn with each
        </caption>
        <thead>
          <tr>
            {[
              'Mechanism',
              'Time',
              'Beside dense',
              'Mass kept',
              'Output differs',
              'Work',
              'Memory',
              'Ran on',
            ].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sides.map(({ paper, result, says, state }) => (
            <tr key={paper.slug} data-side={paper.slug} data-state={state}>
              <th scope="row">
                <a href={`/papers/${paper.slug}`}>{paper.slug}</a>
              </th>
              {result ? (
                <>
                  <td>{milliseconds(result.numbers.mechanismMs)}</td>
                  <td>
                    {faster(result.numbers.denseMs, result.numbers.mechanismMs)} (
                    {milliseconds(result.numbers.denseMs)})
                  </td>
                  <td data-number="mass">{percent(result.numbers.massKept)}</td>
                  <td data-number="error">{percent(result.numbers.relativeError)}</td>
                  <td data-number="work">
                    {operations(result.numbers.flops)},{' '}
                    {percent(result.numbers.visitedPairs / result.numbers.densePairs)} of dense
                  </td>
                  <td>{bytes(result.numbers.extraBytes)}</td>
                  <td>
                    {result.machine.kind}, {result.machine.tier}: {result.machine.description}
                  </td>
                </>
              ) : (
                <td colSpan={7}>{says}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
