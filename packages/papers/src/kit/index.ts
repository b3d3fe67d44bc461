export {
  type Claim,
  type ClaimRun,
  type LedgerEntry,
  type LedgerFile,
  type Measurement,
  median,
  type Verdict,
  type VerdictName,
} from './claim.ts';
export { type Comparison, compare, type Numbers } from './compare.ts';
export { interleave } from './interleave.ts';
export type { TokenInputs } from './lab/features.ts';
export { readImageSize } from './lab/image-size.ts';
export {
  DETAIL,
  inputsFromClip,
  inputsFromPixels,
  inputsFromText,
  MAX_PIXELS,
  MAX_TEXT_BYTES,
  PICTURE_CHANNELS,
  type Pixels,
  splitText,
} from './lab/tokens.ts';
export {
  definePaper,
  type InputKind,
  type Inputs,
  type Mechanism,
  type Outputs,
  type Paper,
  type Reference,
  type ReferenceInputs,
  type ReferenceOutputs,
  type RunContext,
} from './paper.ts';
export { disposeInputs, disposeOutputs, randomInputs } from './random-inputs.ts';
