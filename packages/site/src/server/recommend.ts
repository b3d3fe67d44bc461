import type { Queries } from './database.ts';

/** A text as the weights of its words: term number and weight, the squares adding up to 1. */
export type Vector = readonly (readonly [term: number, weight: number])[];

/** All papers as tf-idf vectors, with the words behind the numbers. */
export interface Corpus {
  slugs: readonly string[];
  vectors: readonly Vector[];
  words: readonly string[];
}

export interface Recommendation {
  slug: string;
  /** Above 0: more like the tagged papers than unlike them. */
  score: number;
  /** The words that speak most for it. */
  because: string[];
}

/**
 * tf-idf with sublinear counts, w = (1 + ln count) · ln((1 + n) / (1 + papers with it)), over words that stand in at
 * least two papers and at most half of them; each vector has length 1.
 */
export function vectorise(papers: readonly { slug: string; text: string }[]): Corpus {
  const counted = papers.map(({ text }) => {
    const counts = new Map<string, number>();
    for (const word of text.toLowerCase().match(/[a-z][a-z0-9]{2,}/g) ?? [])
      counts.set(word, (counts.get(word) ?? 0) + 1);
    return counts;
  });
  const within = new Map<string, number>();
  for (const counts of counted)
    for (const word of counts.keys()) within.set(word, (within.get(word) ?? 0) + 1);
  const words = [...within]
    .filter(([, papersWith]) => papersWith > 1 && papersWith * 2 <= papers.length)
    .map(([word]) => word);
  const numbers = new Map(words.map((word, number) => [word, number]));
  const vectors = counted.map((counts) => {
    const weights: [number, number][] = [];
    for (const [word, count] of counts) {
      const number = numbers.get(word);
      if (number === undefined) continue;
      weights.push([number, (1 + Math.log(count)) * Math.log((1 + papers.length) / (1 + within.get(word)!))]);
    }
    const length = Math.hypot(...weights.map(([, weight]) => weight)) || 1;
    return weights.map(([number, weight]) => [number, weight / length] as const);
  });
  return { slugs: papers.map(({ slug }) => slug), vectors, words };
}

const EPOCHS = 60;
const RATE = 2;
const SHRINK = 1e-3;
/** So many of the papers that are not tagged stand for all of them: the model of a tag must not wait for 20,000. */
const MOST_OTHERS = 2000;

/**
 * Papers that are like the tagged ones, by logistic regression of tagged against not tagged on tf-idf, both sides
 * weighing the same. Deterministic: full gradients, no chance.
 * @param tagged slugs; at least one must be in the corpus
 * @returns the best first, none of the tagged, equal ones by slug; empty where nothing is tagged
 */
export function recommend(corpus: Corpus, tagged: ReadonlySet<string>, most = 10): Recommendation[] {
  const { slugs, vectors, words } = corpus;
  const inside: number[] = [];
  const outside: number[] = [];
  slugs.forEach((slug, index) => {
    (tagged.has(slug) ? inside : outside).push(index);
  });
  if (inside.length === 0 || outside.length === 0) return [];
  const step = Math.max(1, Math.ceil(outside.length / MOST_OTHERS));
  const others = outside.filter((_, index) => index % step === 0);
  const weights = new Float64Array(words.length);
  let bias = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const gradient = new Float64Array(words.length);
    let biasGradient = 0;
    for (const [members, wanted] of [
      [inside, 1],
      [others, 0],
    ] as const) {
      for (const index of members) {
        const error = (wanted - 1 / (1 + Math.exp(-dot(vectors[index], weights) - bias))) / members.length;
        for (const [term, weight] of vectors[index]) gradient[term] += error * weight;
        biasGradient += error;
      }
    }
    for (let term = 0; term < weights.length; term++)
      weights[term] += RATE * (gradient[term] - SHRINK * weights[term]);
    bias += RATE * biasGradient;
  }
  return outside
    .map((index) => ({ index, score: dot(vectors[index], weights) + bias }))
    .sort((a, b) => b.score - a.score || (slugs[a.index] < slugs[b.index] ? -1 : 1))
    .slice(0, most)
    .map(({ index, score }) => ({
      slug: slugs[index],
      score,
      because: reasons(vectors[index], weights, words),
    }));
}

const dot = (vector: Vector, weights: Float64Array) => {
  let sum = 0;
  for (const [term, weight] of vector) sum += weight * weights[term];
  return sum;
};

function reasons(vector: Vector, weights: Float64Array, words: readonly string[]): string[] {
  return vector
    .map(([term, weight]) => ({ word: words[term], part: weight * weights[term] }))
    .filter(({ part }) => part > 0)
    .sort((a, b) => b.part - a.part || (a.word < b.word ? -1 : 1))
    .slice(0, 3)
    .map(({ word }) => word);
}

/** The corpus of a database, made again when papers came or went. */
export function corpusOf(database: Queries): () => Promise<Corpus> {
  let known: { mark: string; corpus: Promise<Corpus> } | undefined;
  const read = async () =>
    vectorise(
      await database.query<{ slug: string; text: string }>(
        // The title counts twice: it says what the paper is about.
        `SELECT slug, concat_ws(' ', title, title, summary, abstract) AS text FROM papers ORDER BY slug`,
      ),
    );
  return async () => {
    const [{ mark }] = await database.query<{ mark: string }>(
      "SELECT count(*) || ' ' || coalesce(max(added_at)::text, '') AS mark FROM papers",
    );
    if (known?.mark !== mark) known = { mark, corpus: read() };
    return known.corpus;
  };
}
