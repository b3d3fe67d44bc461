import { useMemo, useState } from 'react';
import { Range } from '../kit/lab/control-panel.tsx';
import { seeded } from '../kit/lab/features.ts';
import { Lanes } from '../kit/lab/lanes.tsx';
import { percent, three } from '../kit/lab/readout.tsx';
import {
  density,
  equalReach,
  type HeadDecay,
  headErrors,
  type MaskGeometry,
  maskWidths,
  type VideoMask,
} from './statistics.ts';

/** The masks in words; `near frames` and `near positions` are the windows that the paper compares with. */
export const maskNames: Record<VideoMask, string> = {
  radial: 'Radial',
  frames: 'Near frames only',
  diagonal: 'Near positions only',
};
const masks = Object.keys(maskNames) as VideoMask[];
/** As many queries show the same digits as all of them, and a slider can be followed. */
const QUERIES = 48;
/** Below this an error is none that anybody would see. */
const LEAST = 0.0001;

/** That of the claim: small enough that radial's bands narrow to a few positions. */
const geometry: MaskGeometry = { frames: 32, perFrame: 64 };

/** Synthetic heads: what each mask loses of them at equal budget. */
export function HeadsPanel() {
  const [heads, setHeads] = useState<Record<'spatial' | 'temporal', HeadDecay>>({
    spatial: { time: 1, space: 0.1 },
    temporal: { time: 0.05, space: 1 },
  });
  const reach = useMemo(() => equalReach(geometry), []);
  const set = (name: keyof typeof heads, change: Partial<HeadDecay>) =>
    setHeads({ ...heads, [name]: { ...heads[name], ...change } });
  const kept = (mask: VideoMask) => percent(density(mask, geometry, reach));
  return (
    <section aria-label="Heads">
      <p className="lab-title">What each mask loses of a synthetic head, at equal budget</p>
      <p className="lab-note">
        Weights fall by e^(−decay) for each frame and each position of distance, with some noise;{' '}
        {geometry.frames} frames of {geometry.perFrame} positions. Radial keeps {kept('radial')} of the pairs,
        a window of {reach.frames} frames to both sides {kept('frames')}, one of {reach.positions} positions{' '}
        {kept('diagonal')}. All see the first frame.
      </p>
      <Head
        name="A head that looks around its frame"
        reach={reach}
        decay={heads.spatial}
        onChange={(change) => set('spatial', change)}
        testId="spatial-head"
      />
      <Head
        name="A head that looks along time"
        reach={reach}
        decay={heads.temporal}
        onChange={(change) => set('temporal', change)}
        testId="temporal-head"
      />
    </section>
  );
}

function Head(props: {
  name: string;
  reach: { frames: number; positions: number };
  decay: HeadDecay;
  onChange(change: Partial<HeadDecay>): void;
  testId: string;
}) {
  const { name, reach, decay, onChange, testId } = props;
  const errors = useMemo(() => {
    const stride = Math.max(1, Math.floor((geometry.frames * geometry.perFrame) / QUERIES));
    const widths = masks.map((mask) => maskWidths(mask, geometry, reach));
    return headErrors(decay, geometry, widths, seeded(7), stride);
  }, [reach, decay]);
  const range = { min: 0, max: 1, step: 0.05 };
  return (
    <fieldset className="lab-control lab-head">
      <legend>{name}</legend>
      <Range range={range} label="decay a frame" value={decay.time} onChange={(time) => onChange({ time })} />
      <Range
        range={range}
        label="decay a position"
        value={decay.space}
        onChange={(space) => onChange({ space })}
      />
      <Lanes
        label={`${name}: L1 error of the attention row, from 0 to 2`}
        testId={testId}
        lanes={masks.map((mask, i) => ({
          name: maskNames[mask],
          value: errors[i],
          shown: `L1 ${errors[i] < LEAST ? `below ${LEAST}` : three(errors[i])}`,
          own: mask === 'radial',
        }))}
      />
    </fieldset>
  );
}
