import { useEffect, useRef, useState } from 'react';
import { Choice, Range } from '../kit/lab/control-panel.tsx';
import { three } from '../kit/lab/readout.tsx';
import type { LabView } from '../kit/lab/spec.ts';
import { TrialBar, useTrial } from '../kit/lab/trial.tsx';
import { type Denoised, type denoise, type HeadKind, TOY_SIDE } from './denoise.ts';
import { maskNames } from './heads-panel.tsx';
import type { Options } from './paper.ts';

const FRAMES = 32;
/** Frames that are shown, evenly spread. */
const SHOWN = 6;

/** A toy clip denoised by attention under each mask: what a mask cannot reach stays noisy, or leaves a ghost. */
export function DenoisePanel({ view }: { view: LabView<Options> }) {
  const [noise, setNoise] = useState(0.2);
  const [head, setHead] = useState<HeadKind>('along time');
  const trial = useTrial<typeof denoise>(view, 'denoise', { noise, frames: FRAMES, head });
  const { value } = trial;
  return (
    <section aria-label="Denoising" className="lab-wide">
      <p className="lab-title">A noisy clip of moving dots, denoised by attention under each mask</p>
      <p className="lab-note">
        A pixel is replaced by the mean of pixels whose surroundings resemble its own (a random projection of{' '}
        the noisy patch is query and key), near its place in any frame or anywhere near its frame. {FRAMES}{' '}
        frames of {TOY_SIDE} × {TOY_SIDE}; nothing is trained.
      </p>
      <div className="lab-row">
        <Choice<HeadKind>
          label="the head looks"
          choices={['along time', 'around the frame']}
          value={head}
          onChange={setHead}
        />
        <Range
          range={{ min: 0.05, max: 0.5, step: 0.05 }}
          label="noise (white is 1)"
          value={noise}
          onChange={setNoise}
        />
      </div>
      <TrialBar trial={trial} label="Denoise" />
      {value && <Results denoised={value} />}
      {value && (
        <p className="lab-note">
          At the same budget a window in time leaves noise where the head looks along time, and a window in
          position where it looks around the frame; radial stays near dense in both. Errors are root mean
          squares.
        </p>
      )}
    </section>
  );
}

function Results({ denoised }: { denoised: Denoised }) {
  const { clean, noisy, results, noisyDotError, noisyGroundError } = denoised;
  const errors = (ground: number, dots: number) =>
    `error ${three(ground)} on the ground, ${three(dots)} on the dots`;
  return (
    <div className="lab-strips" data-lab="denoised">
      <Strip clip={clean} name="Clean" says="what should come out" />
      <Strip clip={noisy} name="Noisy" says={errors(noisyGroundError, noisyDotError)} />
      {results.map(({ name, picture, groundError, dotError, differsFromDense, density }) => (
        <Strip
          key={name}
          clip={picture}
          name={name === 'dense' ? 'Dense' : maskNames[name]}
          says={
            name === 'dense'
              ? errors(groundError, dotError)
              : `${three(100 * differsFromDense)} % from dense with ${three(100 * density)} % of the pairs; ${errors(groundError, dotError)}`
          }
        />
      ))}
    </div>
  );
}

function Strip({ clip, name, says }: { clip: Float32Array; name: string; says: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = SHOWN * (TOY_SIDE + 1) - 1;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    const image = context.createImageData(width, TOY_SIDE);
    const frames = clip.length / TOY_SIDE ** 2;
    for (let shown = 0; shown < SHOWN; shown++) {
      const frame = Math.floor(((shown + 0.5) * frames) / SHOWN);
      for (let place = 0; place < TOY_SIDE ** 2; place++) {
        const [y, x] = [Math.floor(place / TOY_SIDE), place % TOY_SIDE];
        const pixel = (y * width + shown * (TOY_SIDE + 1) + x) * 4;
        image.data.fill(255 * clip[frame * TOY_SIDE ** 2 + place], pixel, pixel + 3);
        image.data[pixel + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }, [clip, width]);
  return (
    <figure>
      <figcaption>
        <strong>{name}</strong> {says}
      </figcaption>
      <canvas
        ref={canvas}
        width={width}
        height={TOY_SIDE}
        role="img"
        aria-label={`${name}: ${SHOWN} frames of the toy clip`}
      />
    </figure>
  );
}
