import { describe, expect, test } from 'vitest';
import { parseMarkdown } from './markdown.ts';
import { scriptCorpus } from './testing/script-corpus.ts';

const html = (raw: string, known: string[] = []) => parseMarkdown(raw).html(new Set(known));

describe('markdown', () => {
  test.each([
    ['*a* **b** ~~c~~ `d`', '<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>'],
    ['# Not a heading', '<p><strong>Not a heading</strong></p>'],
    ['a <b>b</b>', '<p>a &#x3C;b>b&#x3C;/b></p>'],
    [
      '![](https://example.org/a.png)',
      '<p><a href="https://example.org/a.png" rel="nofollow ugc noopener noreferrer">https://example.org/a.png</a></p>',
    ],
    ['[here](/papers/fna)', '<p><a href="/papers/fna">here</a></p>'],
    ['[no](javascript:alert(1))', '<p><a>no</a></p>'],
    [
      '[away](//example.org)',
      '<p><a href="//example.org" rel="nofollow ugc noopener noreferrer">away</a></p>',
    ],
  ])('%s', (raw, expected) => {
    expect(html(raw)).toBe(expected);
  });

  test('math becomes MathML, and a broken formula its text', () => {
    expect(html('$O(n^2)$')).toContain('<math');
    expect(html('$$\n\\sum_i x_i\n$$')).toContain('display="block"');
    expect(html('$\\frac{$')).toContain('katex-error');
    expect(html('$\\href{javascript:alert(1)}{x}$')).not.toContain('href=');
  });

  test('formulas, and errors in them, bring no colours and no styles of their own', () => {
    for (const raw of ['$\\color{white}{x}$', '$\\colorbox{red}{x}$', '$\\frac{$', '$\\undefined$'])
      expect(html(raw)).not.toMatch(/ style=|mathcolor|mathbackground/);
  });

  test('what may be wider than the page can be reached by keyboard', () => {
    expect(html('```\ncode\n```')).toContain('<pre tabindex="0">');
    expect(html('| a |\n| - |\n| b |')).toContain('<table tabindex="0">');
    expect(html('$$\nx\n$$')).toMatch(/<math[^>]* tabindex="0"/);
    expect(html('$x$')).not.toContain('tabindex');
  });

  test('mentions are names outside code, links and addresses, each once', () => {
    const raw = 'Hi @ada and @Ada, @no-one, `@code`, a@example.org, [@linked](/x), x/@path, @bob.';
    const parsed = parseMarkdown(raw);
    expect(parsed.mentions).toEqual(['ada', 'no-one', 'bob']);
    const rendered = parsed.html(new Set(['ada', 'bob']));
    expect(rendered).toContain('<a href="/users/ada">@ada</a> and <a href="/users/ada">@Ada</a>, @no-one');
    expect(rendered).toContain('<a href="/users/bob">@bob</a>.');
    expect(rendered).toContain('<code>@code</code>');
  });

  test('counts the links that lead away', () => {
    expect(
      parseMarkdown('https://a.org [b](https://b.org) [c](/papers/fna) ![d](https://d.org/d.png)').links,
    ).toBe(3);
    expect(parseMarkdown('[a][1] [b][2]\n\n[1]: https://a.org\n[2]: https://b.org').links).toBe(2);
  });

  test('nesting that goes too deep is a RangeError, or is rendered', () => {
    for (const raw of ['>'.repeat(10_000), '*'.repeat(10_000), '['.repeat(10_000), '- '.repeat(5_000)]) {
      try {
        html(raw);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  });

  test.each(scriptCorpus)('nothing in %s can run', (raw) => {
    const rendered = html(raw, ['ada']);
    // Every tag that is left, with its attributes, is one of ours.
    for (const [, tag, attributes] of rendered.matchAll(/<([a-z][\w-]*)([^>]*)>/gi)) {
      expect(tag.toLowerCase()).toMatch(
        /^(p|br|strong|em|del|code|pre|a|blockquote|hr|ul|ol|li|table|thead|tbody|tr|th|td|span|math|semantics|annotation|m[a-z]+)$/,
      );
      expect(attributes).not.toMatch(/\son\w+\s*=/i);
      expect(attributes).not.toMatch(/(href|src|xlink:href)\s*=\s*["']?\s*(javascript|data|vbscript)/i);
    }
  });
});
