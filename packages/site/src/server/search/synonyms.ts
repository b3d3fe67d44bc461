import { stemOf } from './tokens.ts';

/**
 * What readers say and what papers say. The words of a line mean much the same; a search for one finds the others too,
 * at a lower weight. Two-word entries are met as two neighbouring words.
 */
const lines = `
  hallucination | hallucinate | invent things | make up | made up
  video | clip | movie | film
  image | picture | photo | photograph
  text | language | prose
  llm | language model | large language
  lmm | lvlm | vlm | multimodal model | vision language
  vit | vision transformer
  rnn | recurrent
  ssm | state space
  fft | fourier | frequency | spectral
  rl | reinforcement
  moe | mixture experts | experts
  robot | agent | embodied
  gaze | eye | eyes | scanpath | saccade
  crop | zoom | patch | region
  quick | fast | speed | faster | cheap | efficient
  prune | drop | discard | remove
  neighbor | nearby | local | adjacent
  long | length | lengthy
  cluster | group | centroid
  softmax | normalization
  temperature | sharpness
  guidance | steer | guide
  lens | camera | optics
  blur | aberration | deblur
  inpaint | fill hole | missing region | hole
  superresolution | super resolution | enlarge | upscale
  detection | detector | detect
  embedding | representation | vector
  kernel | random feature
  memory | cache
  hierarchical | tree | coarse
  threshold | budget
  phone | device | mobile | edge
  compare | comparison | benchmark
  theory | explain | analysis | understand
  linear | subquadratic
  question | answer | qa
  diffusion | denoising | generation
  relative position | positional | position
  head | heads
`;

const groups = lines
  .split('\n')
  .map((line) => line.trim())
  .filter(Boolean)
  .map((line) => line.split('|').map((entry) => entry.trim().split(/\s+/).map(stemOf)));

const byStem = new Map<string, readonly string[][][]>();
for (const group of groups)
  for (const [first] of group) byStem.set(first, [...(byStem.get(first) ?? []), group]);

/** Stems that mean much the same as words of a question, without the question's own. */
export function synonymsOf(stems: readonly string[]): string[] {
  const found = new Set<string>();
  stems.forEach((stem, at) => {
    for (const group of byStem.get(stem) ?? []) {
      const met = group.some((entry) => entry.every((word, i) => stems[at + i] === word));
      if (met) for (const entry of group) for (const word of entry) found.add(word);
    }
  });
  for (const stem of stems) found.delete(stem);
  return [...found];
}
