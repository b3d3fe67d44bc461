import { type ArxivId, parseArxivId } from '../../shared/arxiv-id.ts';
import { folded, tokens } from './tokens.ts';

/** A reader's question, taken apart. All texts are folded: lower case, no accents, one space between words. */
export interface Question {
  /** The whole of it is an arXiv id or the address of a paper: the reader wants that page. */
  jump?: ArxivId;
  /** Stems, any of which may match; the more and the rarer, the better. In the order of the question. */
  stems: readonly string[];
  /** The same words as parts of authors' names. */
  names: readonly string[];
  /** Each must stand in the text as it is. */
  phrases: readonly string[];
  /** None may stand in the text: words and phrases. */
  without: readonly string[];
  /** Terms that must be there, such as `author:hassani` and `family:local`, and the words of phrases. */
  required: readonly string[];
  /** Terms that must not be there. */
  forbidden: readonly string[];
}

/** More words than this are not looked up: a question has fewer, and each costs. */
const MOST_WORDS = 24;

const part = /(-)?(?:(author|family):)?(?:"([^"]*)"?|([^\s"]+))/gi;

/** Terms that stand for an author's name: every word of it, so that "Ali Hassani" and "hassani" both find him. */
export const authorTerms = (name: string): string[] =>
  folded(name)
    .split(' ')
    .filter(Boolean)
    .map((word) => `author:${word}`);

/** The term of a whole name: two papers that have it share an author, as far as names tell. */
export const personTerm = (name: string): string => `person:${folded(name).replace(/ /g, '-')}`;

export const familyTerm = (family: string): string => `family:${folded(family).replace(/ /g, '-')}`;

/** Reads "exact phrase", -word, author:name, family:name; everything else is words of which any may match. */
export function parseQuestion(text: string): Question {
  const jump = parseArxivId(text);
  const words: string[] = [];
  const phrases: string[] = [];
  const without: string[] = [];
  const required: string[] = [];
  const forbidden: string[] = [];
  for (const [, minus, field, quoted, bare] of text.matchAll(part)) {
    const given = quoted ?? bare ?? '';
    const plain = folded(given);
    if (plain === '') continue;
    if (field) {
      const terms = field.toLowerCase() === 'author' ? authorTerms(given) : [familyTerm(given)];
      (minus ? forbidden : required).push(...terms);
    } else if (minus) {
      without.push(plain);
    } else if (quoted !== undefined) {
      phrases.push(plain);
      required.push(...tokens(given).map(({ stem }) => stem));
    } else words.push(given);
  }
  // words of a phrase rank what has it
  const found = tokens([...words, ...phrases].join(' ')).slice(0, MOST_WORDS);
  const stems = found.map(({ stem }) => stem);
  const names = found.map(({ word }) => `author:${word}`);
  return { ...(jump && { jump }), stems, names, phrases, without, required, forbidden };
}
