import { ArgumentError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { type CandidateOptions, checkCandidates, countPairs } from './candidates.ts';
import { checkInteger, checkScores } from './checks.ts';
import type { Candidates, SelectedBlocks } from './request.ts';
import { MOST_WEIGHTS } from './weights.ts';

/**
 * The k best columns of each row. Equal scores: the lower index wins, so every device chooses the same set.
 * A row with fewer candidates than k takes all of them. NaN counts as -Infinity, -0 as 0.
 * Radix selection by the bits of the score: columns of any number, k of any number up to it.
 * @param scores f32 [batch, heads, rows, columns], for instance of block pairs
 * @param options.k how many; forced columns (sink, local) are among them
 * @returns lists on the device, entries ascending, k apart; ready for selectedPlan()
 * @throws ArgumentError if k is not an integer from 1 to columns, is less than the columns that are forced, or if causal
 *   or local is asked for where a row has no own column
 */
export async function topK(
  scores: Tensor,
  options: { k: number } & CandidateOptions,
): Promise<SelectedBlocks> {
  checkScores('topK', scores);
  const { k } = options;
  checkInteger('topK', 'k', k, 1, scores.shape[3], 'columns');
  const candidates = checkCandidates('topK', options, scores);
  checkRoom('topK', 'k', k, candidates);
  return scores.device.kernels.topK({ scores, k, candidates });
}

/**
 * The fewest columns of each row, best first, whose softmax weights sum to at least p of the row's ('top-p').
 * Weights are integers (exp(score − maximum) in units of 2^-24, p in units of 2^-16), so every device chooses the same
 * set; equal scores: the lower index wins. A row whose candidates are all -Infinity or NaN takes none but what `atLeast`,
 * `sink` and `local` ask for. Forced columns come first, and their weights count.
 * @param scores f32 [batch, heads, rows, columns], scaled as the softmax wants them
 * @param options.p from 2^-16 to 1; 1 takes every column that weighs at least 2^-25 of the best
 * @param options.atLeast fewest columns of a row, where it has so many candidates; default 1
 * @param options.atMost most columns of a row, and the distance of the lists in memory; default: all
 * @returns lists on the device, entries ascending, `atMost` apart
 * @throws ArgumentError if p, atLeast or atMost is out of range, forced columns exceed atMost, or there are 2^20 columns
 */
export async function topP(
  scores: Tensor,
  options: { p: number; atLeast?: number; atMost?: number } & CandidateOptions,
): Promise<SelectedBlocks> {
  checkScores('topP', scores);
  const columns = scores.shape[3];
  const { p, atLeast = Math.min(1, columns), atMost = columns } = options;
  const share = Math.round(p * 65536);
  if (!(p <= 1) || !(share >= 1)) throw new ArgumentError('topP', 'p', p, 'a number from 2^-16 to 1');
  checkInteger('topP', 'atMost', atMost, Math.min(1, columns), columns, 'columns');
  checkInteger('topP', 'atLeast', atLeast, 0, atMost, '(atMost)');
  if (columns > MOST_WEIGHTS)
    throw new ArgumentError('topP', 'scores', `of ${columns} columns`, `at most ${MOST_WEIGHTS}`);
  const candidates = checkCandidates('topP', options, scores);
  checkRoom('topP', 'atMost', atMost, candidates);
  return scores.device.kernels.topP({ scores, share, atLeast, atMost, candidates });
}

/**
 * One threshold for all rows of a head: the `keep` best of its pairs are chosen, wherever they lie, so rows have lists
 * of different lengths, also none. Equal scores: the lower row wins, then the lower column.
 * @param scores f32 [batch, heads, rows, columns]
 * @param options.keep pairs of a head, or `fraction` of its candidates, rounded down, at least one; forced pairs count,
 *   and a fraction that is less than they are means them alone
 * @returns lists on the device, packed: a head's lists follow each other in the order of its rows
 * @throws ArgumentError unless one of keep and fraction is given and keep lies between the forced pairs and the candidates
 */
export async function headThreshold(
  scores: Tensor,
  options: { keep?: number; fraction?: number } & CandidateOptions,
): Promise<SelectedBlocks> {
  checkScores('headThreshold', scores);
  const [, , rows, columns] = scores.shape;
  const candidates = checkCandidates('headThreshold', options, scores);
  const { all, forced } = countPairs(candidates, rows, columns);
  const { fraction } = options;
  let { keep } = options;
  if ((keep === undefined) === (fraction === undefined))
    throw new ArgumentError('headThreshold', 'keep', `${keep} with fraction ${fraction}`, 'one of the two');
  if (fraction !== undefined) {
    if (!(fraction > 0 && fraction <= 1))
      throw new ArgumentError('headThreshold', 'fraction', fraction, 'a number above 0, at most 1');
    keep = Math.max(Math.floor(fraction * all), Math.min(1, all), forced);
  }
  checkInteger('headThreshold', 'keep', keep!, forced, all, `(the ${forced} forced pairs, the candidates)`);
  return scores.device.kernels.headThreshold({ scores, keep: keep!, candidates });
}

function checkRoom(where: string, name: string, most: number, { sink, local }: Candidates): void {
  if (sink + local > most) {
    throw new ArgumentError(
      where,
      name,
      most,
      `at least the ${sink + local} columns that sink ${sink} and local ${local} force`,
    );
  }
}
