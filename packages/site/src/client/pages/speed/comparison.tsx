import {
  type BenchResult,
  type Comparison,
  isOurs,
  median,
  peerInWords,
  rateInWords,
  shapeInWords,
  timeInWords,
} from '../../../shared/bench.ts';
import { dateInWords } from '../../components/facts.tsx';
import './speed.css';

/** One case: a bar for each library, with its time, its rate and how it stands to ours. */
export function ComparisonTable({ comparison }: { comparison: Comparison }) {
  const { facts, results, name, date, commit } = comparison;
  const slowest = Math.max(...results.map(({ samplesMs }) => median(samplesMs)));
  // a sample far out is drawn at the end: it must not press the bars together
  const most = Math.min(Math.max(...results.flatMap(({ samplesMs }) => samplesMs)), 1.5 * slowest);
  const ours = results.find(isOurs);
  return (
    <figure className="comparison">
      <table>
        <caption>
          <b>{facts.title}</b> <span className="where">{shapeInWords(facts)}</span>
        </caption>
        <thead className="visually-hidden">
          <tr>
            <th scope="col">Library</th>
            <th scope="col">Median time</th>
            <th scope="col">Rate</th>
            <th scope="col">Beside ours</th>
          </tr>
        </thead>
        <tbody>
          {results.map((result) => (
            <Row key={result.peer} result={result} most={most} ours={ours} />
          ))}
        </tbody>
      </table>
      <figcaption className="machine">
        <time dateTime={date}>{dateInWords(date)}</time>, commit <code>{commit.slice(0, 10)}</code>,{' '}
        {results[0].samplesMs.length} rounds,{' '}
        <a href={`/speed/${name}.json`} download>
          raw samples
        </a>
        {results.some(({ samplesMs }) => samplesMs.some((sample) => sample < 0)) &&
          '. A sample is the difference of a long and a short chain: below zero, the short one met a pause.'}
      </figcaption>
    </figure>
  );
}

function Row({ result, most, ours }: { result: BenchResult; most: number; ours: BenchResult | undefined }) {
  const middle = median(result.samplesMs);
  const percent = (timeMs: number) => `${Math.min(Math.max((100 * timeMs) / most, 0), 100).toFixed(2)}%`;
  return (
    <tr className={isOurs(result) ? 'ours' : undefined}>
      <th scope="row">
        {peerInWords(result.peer)}
        <span className="where">{result.description}</span>
      </th>
      <td className="time">
        <span className="track" aria-hidden="true">
          <span className="bar" style={{ width: percent(middle) }} />
          {result.samplesMs.map((sample, round) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rounds stay in their order
            <span key={round} className="tick" style={{ left: percent(sample) }} />
          ))}
        </span>
        <b>{timeInWords(middle)}</b>
      </td>
      <td>{rateInWords(result.case, middle)}</td>
      <td>{besideOurs(result, middle, ours)}</td>
    </tr>
  );
}

function besideOurs(result: BenchResult, middle: number, ours: BenchResult | undefined): string {
  if (!ours || result === ours) return '';
  const times = middle / median(ours.samplesMs);
  return times >= 1 ? `${times.toFixed(1)} times our time` : `${times.toFixed(2)} of our time`;
}
