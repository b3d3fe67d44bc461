import type { Root as Html } from 'hast';
import type { Parents, PhrasingContent, Root, RootContent } from 'mdast';
import rehypeKatex from 'rehype-katex';
import rehypeSanitize, { type Options as SanitizeSchema } from 'rehype-sanitize';
import rehypeStringify from 'rehype-stringify';
import remarkGfm from 'remark-gfm';
import remarkMath from 'remark-math';
import remarkParse from 'remark-parse';
import remarkRehype from 'remark-rehype';
import { unified } from 'unified';
import { SKIP, visit } from 'unist-util-visit';

/** A text by a reader, taken apart. */
export interface Parsed {
  /** Names after an @, in lower case, each once. */
  mentions: string[];
  /** Addresses that lead away from this site. */
  links: number;
  /** Safe HTML; of the mentions, those of `known` become links to their pages. */
  html(known: ReadonlySet<string>): string;
}

const schema: SanitizeSchema = {
  strip: ['script', 'style'],
  tagNames: [
    ...['p', 'br', 'strong', 'em', 'del', 'code', 'pre', 'a', 'blockquote', 'hr', 'ul', 'ol', 'li'],
    ...['table', 'thead', 'tbody', 'tr', 'th', 'td'],
  ],
  attributes: {
    a: ['href'],
    ol: ['start'],
    th: [['align', 'left', 'right', 'center']],
    td: [['align', 'left', 'right', 'center']],
    // What remark-math marks for KaTeX, which runs after this.
    code: [['className', 'language-math', 'math-inline', 'math-display']],
  },
  protocols: { href: ['http', 'https', 'mailto'] },
};

const parser = unified().use(remarkParse).use(remarkGfm).use(remarkMath);
const renderer = unified()
  .use(remarkRehype)
  .use(rehypeSanitize, schema)
  .use(() => markLinks)
  // MathML needs no styles and no fonts; a formula can make no link, load nothing and not outgrow the page.
  .use(rehypeKatex, { output: 'mathml', trust: false, strict: 'ignore', maxSize: 10, maxExpand: 100 })
  .use(() => settle)
  .use(rehypeStringify);

const MENTION = /(?<![\w@/.-])@([a-z0-9](?:-?[a-z0-9]){1,29})(?![\w-])/gi;

/**
 * Markdown with math by a reader. HTML in it is shown as text, pictures become links, headings become bold lines: a
 * comment loads nothing and cannot pass for the page around it.
 * @throws RangeError where it is nested too deeply to be read
 */
export function parseMarkdown(raw: string): Parsed {
  const tree = parser.parse(raw);
  tame(tree);
  const mentions = new Set<string>();
  let links = 0;
  visit(tree, (node) => {
    if (node.type === 'link' && !node.url.startsWith('/')) links++;
    if (node.type === 'link' || node.type === 'linkReference') return SKIP;
    if (node.type === 'definition') links++;
    if (node.type === 'text')
      for (const [, name] of node.value.matchAll(MENTION)) mentions.add(name.toLowerCase());
  });
  return {
    mentions: [...mentions],
    links,
    html: (known) => {
      const own = structuredClone(tree);
      linkMentions(own, known);
      return renderer.stringify(renderer.runSync(own) as Html);
    },
  };
}

function tame(tree: Root): void {
  visit(tree, (node, index, parent) => {
    if (index === undefined || !parent) return;
    const put = (...nodes: RootContent[]) => {
      (parent as Parents).children.splice(index, 1, ...(nodes as never[]));
    };
    if (node.type === 'html') {
      const text: PhrasingContent = { type: 'text', value: node.value };
      put(parent.type === 'paragraph' ? text : { type: 'paragraph', children: [text] });
    } else if (node.type === 'image') {
      put({ type: 'link', url: node.url, children: [{ type: 'text', value: node.alt || node.url }] });
    } else if (node.type === 'heading') {
      put({ type: 'paragraph', children: [{ type: 'strong', children: node.children }] });
    }
  });
}

function linkMentions(tree: Root, known: ReadonlySet<string>): void {
  visit(tree, (node, index, parent) => {
    if (node.type === 'link' || node.type === 'linkReference') return SKIP;
    if (node.type !== 'text' || index === undefined || !parent) return;
    const pieces: PhrasingContent[] = [];
    let from = 0;
    for (const match of node.value.matchAll(MENTION)) {
      const name = match[1].toLowerCase();
      if (!known.has(name)) continue;
      pieces.push(
        { type: 'text', value: node.value.slice(from, match.index) },
        { type: 'link', url: `/users/${name}`, children: [{ type: 'text', value: match[0] }] },
      );
      from = match.index + match[0].length;
    }
    if (pieces.length === 0) return;
    pieces.push({ type: 'text', value: node.value.slice(from) });
    (parent as Parents).children.splice(index, 1, ...(pieces as never[]));
    return [SKIP, index + pieces.length];
  });
}

/** Addresses that readers write get no credit from us and no hold on our page. */
function markLinks(tree: Html): void {
  visit(tree, 'element', ({ tagName, properties }) => {
    const { href } = properties;
    if (tagName === 'a' && typeof href === 'string' && !/^\/(?![/\\])/.test(href))
      properties.rel = ['nofollow', 'ugc', 'noopener', 'noreferrer'];
  });
}

const coloured = ['mathcolor', 'mathbackground', 'style'];
const wide = new Set(['pre', 'table', 'math']);

/**
 * What was written is of the page around it: formulas, and errors in them, take its colours, in light and dark, and bring no
 * styles; what may be wider than the page and scrolls can be reached by keyboard.
 */
function settle(tree: Html): void {
  visit(tree, 'element', ({ tagName, properties }) => {
    for (const name of coloured) delete properties[name];
    if (wide.has(tagName) && (tagName !== 'math' || properties.display === 'block')) properties.tabIndex = 0;
  });
}
