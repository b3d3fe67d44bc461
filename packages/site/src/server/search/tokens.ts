import { stemmer } from 'stemmer';

/** Words that say nothing of what a paper is about. */
const stop = new Set(
  `a about across after all also am an and any are as at be been before being between both but by can cannot could did do does
  doing done down during each either etc few for from further get gets give gives given go had has have having he her here
  hers him his how however i if in instead into is it its itself just let like made make makes making many may me might more
  most much must my need needs neither no nor not now of off often on once one only onto or other our out over own paper
  per rather same say says see she should show shows since so some such than that the their them then there these they this
  those through thus to too under until up upon us use used uses using very via want was way we well were what when where
  whether which while who whom whose why will with within without would yet you your`.split(/\s+/),
);

/** A word as it is looked up, and as it was written. */
export interface Token {
  stem: string;
  word: string;
}

/** Lower case, without accents and ligatures; everything but letters and digits is a space. */
export function folded(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/ß/g, 'ss')
    .replace(/ø/g, 'o')
    .replace(/ł/g, 'l')
    .replace(/[æ]/g, 'ae')
    .replace(/['’](?=s\b)/g, ' ')
    .replace(/['’]/g, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/** The words of a text, stemmed (Porter), without those that say nothing. British and American spellings meet. */
export function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (const word of folded(text).split(' ')) {
    if (word === '' || stop.has(word) || word.length > 40) continue;
    found.push({ stem: stemOf(word), word });
  }
  return found;
}

export function stemOf(word: string): string {
  return stemmer(
    word
      .replace(/isation/g, 'ization')
      .replace(/is(e|es|ed|ing)$/, (ending) =>
        word.length > 6 && !unchanged.test(word) ? ending.replace('s', 'z') : ending,
      )
      .replace(/our(s|ed|hood|ing)?$/, (ending) =>
        /(neighb|behavi|col|fav)our/.test(word) ? ending.replace('our', 'or') : ending,
      )
      .replace(/neighbour/g, 'neighbor')
      .replace(/modell/g, 'model')
      .replace(/centre/g, 'center'),
  );
}

/** Words in -ise that are no British spelling of -ize. */
const unchanged =
  /(noise|precise|concise|raise|promise|exercise|otherwise|wise|expertise|enterprise|surprise|compromise|revise|advise|arise|praise|premise|disguise|paradise)/;
