const symbols: Readonly<Record<string, string>> = {
  alpha: 'α', beta: 'β', gamma: 'γ', delta: 'δ', epsilon: 'ε', varepsilon: 'ε', zeta: 'ζ', eta: 'η', theta: 'θ',
  kappa: 'κ', lambda: 'λ', mu: 'μ', nu: 'ν', xi: 'ξ', pi: 'π', rho: 'ρ', sigma: 'σ', tau: 'τ', phi: 'φ', varphi: 'φ',
  chi: 'χ', psi: 'ψ', omega: 'ω', Gamma: 'Γ', Delta: 'Δ', Theta: 'Θ', Lambda: 'Λ', Xi: 'Ξ', Pi: 'Π', Sigma: 'Σ',
  Phi: 'Φ', Psi: 'Ψ', Omega: 'Ω', ell: 'ℓ', times: '×', cdot: '·', pm: '±', mp: '∓', leq: '≤', le: '≤', geq: '≥',
  ge: '≥', neq: '≠', ne: '≠', approx: '≈', sim: '∼', simeq: '≃', equiv: '≡', propto: '∝', ll: '≪', gg: '≫', in: '∈',
  notin: '∉', subset: '⊂', subseteq: '⊆', cup: '∪', cap: '∩', infty: '∞', top: '⊤', bot: '⊥', partial: '∂', nabla: '∇', sum: '∑',
  prod: '∏', int: '∫', sqrt: '√', to: '→', rightarrow: '→', leftarrow: '←', mapsto: '↦', Rightarrow: '⇒', forall: '∀',
  exists: '∃', ldots: '…', dots: '…', cdots: '⋯', langle: '⟨', rangle: '⟩', lVert: '‖', rVert: '‖', Vert: '‖', circ: '∘',
  otimes: '⊗', oplus: '⊕', odot: '⊙', star: '⋆', dagger: '†', prime: '′', deg: '°', textdegree: '°', textasciitilde: '~',
  textbackslash: '\\', ss: 'ß', o: 'ø', O: 'Ø', ae: 'æ', AE: 'Æ', aa: 'å', AA: 'Å', l: 'ł', L: 'Ł', i: 'ı',
}; // biome-ignore format: a table
const accents: Readonly<Record<string, string>> = {
  '`': '\u0300', "'": '\u0301', '^': '\u0302', '~': '\u0303', '"': '\u0308', '=': '\u0304', '.': '\u0307',
  u: '\u0306', v: '\u030c', H: '\u030b', c: '\u0327', k: '\u0328', r: '\u030a', d: '\u0323', b: '\u0331',
}; // biome-ignore format: a table
const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const subscripts = '₀₁₂₃₄₅₆₇₈₉';

/**
 * A title or an abstract as arXiv gives it, as plain text: the LaTeX that authors put there becomes Unicode where there
 * is a sign for it, and its dollars, braces and commands go. Line breaks become spaces.
 */
export function plainText(latex: string): string {
  // most texts have nothing to replace, and a page has fifty of them
  if (!/[\\$^_{}~]|--|``|''/.test(latex)) return latex.replace(/\s+/g, ' ').trim();
  return latex
    .replace(/\s+/g, ' ')
    .replace(
      /\\([`'^~"=.]|[uvHckrdb](?![a-zA-Z]))\s*(?:\{\\?([a-zA-Zı])\}|\\?([a-zA-Zı]))/g,
      (_, accent, braced, bare) => `${(braced ?? bare).replace('ı', 'i')}${accents[accent]}`.normalize('NFC'),
    )
    .replace(
      /\\(?:emph|textbf|textit|texttt|textsc|textrm|text|underline|mathbf|mathrm|mathcal|mathbb|mathit|mathsf|mathtt|boldsymbol|bm|operatorname|url|footnote|tilde|hat|bar|widetilde|widehat|overline|vec)\s*\{([^{}]*)\}/g,
      '$1',
    )
    .replace(/\{\\(?:em|bf|it|rm|sc|sf|sl|tt)\s+/g, '{')
    .replace(/\\href\s*\{[^{}]*\}\s*\{([^{}]*)\}/g, '$1')
    .replace(/\\(?:d|t)?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, '$1/$2')
    .replace(/\\(?:left|right|big|Big|displaystyle|mathop|limits)\b\s?/g, '')
    .replace(/\\([a-zA-Z]+)(?:\{\})?/g, (_, name) => symbols[name] ?? name)
    .replace(/\\[,;:! ]/g, ' ')
    .replace(/\\\|/g, '‖')
    .replace(/\\([%&#_{}])/g, '$1')
    .replace(/\\\$/g, '\u0001')
    .replace(/\$/g, '')
    .split('\u0001')
    .join('$')
    .replace(/\^\{?(\d+)\}?/g, (_, digits) => onLine(digits, superscripts))
    .replace(/(?<=[A-Za-zα-ωΑ-Ω])_\{?(\d+)\}?/g, (_, digits) => onLine(digits, subscripts))
    .replace(/[{}]/g, '')
    .replace(/---/g, '—')
    .replace(/--/g, '–')
    .replace(/``|''/g, '"')
    .replace(/\\\\/g, ' ')
    .replace(/(?<=[^\s/])~(?=\S)/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

const onLine = (digits: string, signs: string) => [...digits].map((digit) => signs[Number(digit)]).join('');
