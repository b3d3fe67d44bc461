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
export type { TokenInputs, TokenInputs } from './lab/features.ts';
export { readImageSize } from './lab/image-size.ts';
export {
  DETAIL,
  inputsFromClip,
  inputsFromClip,
  inputsFromPixels,
  inputsFromPixels,
  inputsFromText,
  inputsFromText,
  MAX_PIXELS,
  MAX_PIXELS,
  MAX_TEXT_BYTES,
  MAX_TEXT_BYTES,
  PICTURE_CHANNELS,
  type Pixels,
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
export { disposeInputs, randomInputs } from './random-inputs.ts';
