/** A person's name in two parts; names that are one word, or a group's, have no given part. */
export interface PersonName {
  family: string;
  given: string;
}

const particles = new Set([
  'van',
  'von',
  'der',
  'den',
  'de',
  'del',
  'della',
  'di',
  'da',
  'dos',
  'du',
  'la',
  'le',
  'ter',
  'ten',
  'bin',
  'al',
  'el',
  'zu',
  'zur',
]);
const suffixes = /^(jr|sr|ii|iii|iv)\.?$/i;
const groups = /\b(team|collaboration|group|consortium|lab|labs|inc|et al)\b/i;

/** Splits a name as it is written on a paper: the last word is the family's, with the particles before it. */
export function splitName(name: string): PersonName {
  const words = name.trim().split(/\s+/);
  if (words.length === 1 || groups.test(name)) return { family: name.trim(), given: '' };
  let last = words.length - 1;
  if (last > 1 && suffixes.test(words[last])) last--;
  while (last > 1 && particles.has(words[last - 1].toLowerCase())) last--;
  return { family: words.slice(last).join(' '), given: words.slice(0, last).join(' ') };
}
