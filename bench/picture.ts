import {
  type BenchFile,
  type BenchResult,
  isOurs,
  median,
  peerInWords,
  timeInWords,
} from '../packages/site/src/shared/bench.ts';

const WIDTH = 820;
const LEFT = 210; // room for names
const RIGHT = 110; // room for times
const ROW = 22;
const HEAD = 34;

/**
 * Bars of median times, a group a case, ours filled and the others in outline, as SVG. Each group has a scale of its own,
 * from 0; dots are the single samples.
 */
export function picture({ results, machine, date, commit }: BenchFile): string {
  const ids = [...new Set(results.map((result) => result.case.id))];
  let y = 50;
  const parts = ids.map((id) => {
    const group = results.filter((result) => result.case.id === id);
    const begin = y;
    y += HEAD + group.length * ROW + 14;
    return bars(group, begin);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 4}" width="${WIDTH}" height="${y + 4}" font-family="system-ui, sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="26" font-size="16" font-weight="600" fill="#1a1a1a">Time of one attention, median (lower is better)</text>
<text x="12" y="44" fill="#595959">${escaped(machine.adapter)}, ${date.slice(0, 10)}, commit ${escaped(commit)}</text>
${parts.join('\n')}
</svg>
`;
}

function bars(group: readonly BenchResult[], top: number): string {
  const most = Math.max(...group.map(({ samplesMs }) => median(samplesMs)));
  const scale = (WIDTH - LEFT - RIGHT) / most;
  const lines = [
    `<text x="12" y="${top + 24}" font-weight="600" fill="#1a1a1a">${escaped(group[0].case.title)}</text>`,
  ];
  group.forEach((result, index) => {
    const { peer, samplesMs } = result;
    const middle = median(samplesMs);
    const y = top + HEAD + index * ROW;
    const width = Math.max(middle * scale, 1).toFixed(1);
    const look = isOurs(result) ? 'fill="#1f5fa8"' : 'fill="#e8e8e8" stroke="#8a8a8a"';
    const dots = samplesMs
      .map((sample) => Math.min(sample, most * 1.02))
      .map((sample) => `<circle cx="${(LEFT + sample * scale).toFixed(1)}" cy="${y + 8}" r="1.6"/>`);
    lines.push(
      `<text x="${LEFT - 8}" y="${y + 12}" text-anchor="end" fill="#1a1a1a">${escaped(peerInWords(peer))}</text>`,
      `<rect x="${LEFT}" y="${y}" width="${width}" height="16" ${look}/>`,
      `<g fill="#1a1a1a" fill-opacity="0.45">${dots.join('')}</g>`,
      `<text x="${LEFT + Number(width) + 6}" y="${y + 12}" fill="#1a1a1a">${timeInWords(middle)}</text>`,
    );
  });
  return lines.join('\n');
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
}
