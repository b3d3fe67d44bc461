import { expect, test } from 'vitest';
import { plainText } from './latex.ts';

test.each([
  ['cost of $O(n^2)$ for\n  $n$ tokens', 'cost of O(n²) for n tokens'],
  ['up to 3.7$\\times$ faster', 'up to 3.7× faster'],
  ['$8\\times$A800 GPUs', '8×A800 GPUs'],
  ['$\\mathcal{O}(N \\log N)$', 'O(N log N)'],
  ['\\emph{attention} is \\textbf{all}', 'attention is all'],
  [
    'Poincar\\\'{e} and Erd\\H{o}s, G\\"odel, Fran\\c{c}ois, na\\"{\\i}ve',
    'Poincaré and Erdős, Gödel, François, naïve',
  ],
  ['10\\% at \\$5 each', '10% at $5 each'],
  ['$x_1$, $x_{12}$ and snake_case', 'x₁, x₁₂ and snake_case'],
  ['$\\frac{a}{b} \\leq \\infty$', 'a/b ≤ ∞'],
  ["Fig.~3 and ``quotes''", 'Fig. 3 and "quotes"'],
  ['see \\url{https://example.org/~a}', 'see https://example.org/~a'],
  ['$d$-dimensional, $L_2$-norm', 'd-dimensional, L₂-norm'],
  ['$\\|x\\|_2$ of {\\em all} $K^\\top$', '‖x‖_2 of all K^⊤'],
  ['plain words', 'plain words'],
  [" two\n plain   words, isn't it? ", "two plain words, isn't it?"],
  ["pages 3--5 of ``it''", 'pages 3–5 of "it"'],
  ['', ''],
])('%j reads %j', (latex, plain) => {
  expect(plainText(latex)).toBe(plain);
});

test('no text leaves a dollar of mathematics or runs for long', () => {
  const began = performance.now();
  for (const piece of ['$', '{', '\\', '\\frac{', '^{', '~', "\\'", '\\emph{a'])
    plainText(piece.repeat(20_000));
  expect(performance.now() - began).toBeLessThan(5000);
});
