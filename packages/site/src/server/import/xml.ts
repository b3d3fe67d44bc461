import { XMLParser } from 'fast-xml-parser';
import { SourceError } from './record.ts';

/** Deeper or larger documents than the sources send are refused before they cost anything. */
const MOST_BYTES = 64_000_000;
const DEEPEST = 40;

/** An element: its attributes, its children by local name, its text. */
export interface Element {
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: readonly Element[];
  text: string;
}

type Raw = Record<string, unknown>;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  // numbers and the five names of XML; a document cannot add any, since a DOCTYPE is refused
  processEntities: true,
  htmlEntities: true,
});

/**
 * Reads an XML document without regard to prefixes and order.
 * @throws SourceError on anything that is not XML, on a DOCTYPE (which could define entities), and on what is too large
 */
export function readXml(text: string): Element {
  if (text.length > MOST_BYTES)
    throw new SourceError(`the document has ${text.length} characters; allowed: at most ${MOST_BYTES}`);
  if (/<!(DOCTYPE|ENTITY)/i.test(text))
    throw new SourceError('the document has a DOCTYPE; allowed: XML without one');
  let nodes: Raw[];
  try {
    nodes = parser.parse(text);
  } catch (error) {
    throw new SourceError(`the document is not XML: ${(error as Error).message}`);
  }
  const root = nodes
    .map((node) => elementOf(node, 0))
    .find((element) => element !== undefined && !element.name.startsWith('?'));
  if (!root)
    throw new SourceError(`the document is not XML: it begins with ${JSON.stringify(text.slice(0, 60))}`);
  return root;
}

function elementOf(node: Raw, depth: number): Element | undefined {
  if (depth > DEEPEST) throw new SourceError(`the document is nested deeper than ${DEEPEST}`);
  const name = Object.keys(node).find((key) => key !== ':@');
  if (name === undefined || name === '#text') return undefined;
  const inside = node[name] as Raw[];
  return {
    name,
    attributes: (node[':@'] ?? {}) as Record<string, string>,
    children: inside.map((child) => elementOf(child, depth + 1)).filter((child) => child !== undefined),
    text: inside.map((child) => ('#text' in child ? String(child['#text']) : '')).join(''),
  };
}

export const all = (parent: Element | undefined, name: string): Element[] =>
  parent?.children.filter((child) => child.name === name) ?? [];
export const first = (parent: Element | undefined, ...path: readonly string[]): Element | undefined =>
  path.reduce<Element | undefined>((element, name) => all(element, name)[0], parent);
export const textOf = (parent: Element | undefined, ...path: readonly string[]): string | null =>
  first(parent, ...path)?.text ?? null;
