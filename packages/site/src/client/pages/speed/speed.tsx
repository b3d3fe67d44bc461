import { useLoaderData } from 'react-router';
import { services } from '../../../server/services.ts';
import { adapterInWords } from '../../../shared/machine.ts';
import { ComparisonTable } from './comparison.tsx';

export const meta = () => [{ title: 'Speed · Saccade' }];

export async function loader() {
  return { comparisons: services().bench.comparisons };
}

export default function Speed() {
  const { comparisons } = useLoaderData<typeof loader>();
  const machines = [...new Map(comparisons.map(({ machine }) => [machine.id, machine])).values()];
  return (
    <div className="page wide">
      <h1>Speed</h1>
      <p className="lede">
        One attention, timed beside other libraries on the same machine, round by round in one run, after
        their outputs were compared. Bars are medians, ticks the single samples. Operations are counted on the
        pairs that a mask keeps.
      </p>
      {machines.length === 0 && (
        <p>
          No benchmarks are stored yet. <code>npm run bench</code> measures them on this machine.
        </p>
      )}
      {machines.map((machine) => (
        <section key={machine.id} aria-labelledby={`machine-${machine.id}`}>
          <h2 id={`machine-${machine.id}`}>{adapterInWords(machine.adapter).name}</h2>
          <p className="facts">
            {adapterInWords(machine.adapter).driver && <span>{adapterInWords(machine.adapter).driver}</span>}
            <span>
              {machine.cpu}, {machine.cores} cores
            </span>
            <span>{machine.os}</span>
            <span>{machine.runtime}</span>
          </p>
          {comparisons
            .filter((each) => each.machine.id === machine.id)
            .map((comparison) => (
              <ComparisonTable key={comparison.facts.id} comparison={comparison} />
            ))}
        </section>
      ))}
    </div>
  );
}
