/** An arXiv paper: the id without version, and the version if one was named. */
export interface ArxivId {
  id: string;
  version: number | null;
}

const modern = '\\d{2}(?:0[1-9]|1[0-2])\\.\\d{4,5}';
const old = '[a-z-]+(?:\\.[a-z]{2})?/\\d{2}(?:0[1-9]|1[0-2])\\d{3}';
const pattern = new RegExp(
  `^(?:(?:https?://)?(?:[a-z0-9-]+\\.)*(?:arxiv|alphaxiv|huggingface)\\.(?:org|co)/(?:abs|pdf|html|papers|overview)/|arxiv:\\s*|oai:arxiv\\.org:)?(${modern}|${old})(?:v([1-9]\\d{0,3}))?(?:\\.pdf)?/?(?:[?#].*)?$`,
  'i',
);

/**
 * Reads an arXiv id as people write them: 2407.13168, 2407.13168v2, arXiv:2407.13168, hep-th/9901001, an address of its
 * abstract, PDF or HTML page, or of its page at Hugging Face or alphaXiv. undefined: it is none.
 */
export function parseArxivId(text: string): ArxivId | undefined {
  const match = pattern.exec(text.trim());
  if (!match) return undefined;
  const [, given, version] = match;
  const id = given.includes('/')
    ? given.toLowerCase().replace(/\.([a-z]{2})\//, (_, c) => `.${c.toUpperCase()}/`)
    : given;
  // since January 2015 numbers have five digits, before they had four
  if (!id.includes('/') && id.length !== (Number(id.slice(0, 4)) >= 1501 && id[0] !== '9' ? 10 : 9))
    return undefined;
  return { id, version: version ? Number(version) : null };
}

/** Where the paper's page lies here, unless a paper of the catalogue has a name of its own: 2407-13168, hep-th-9901001. */
export const slugOfArxiv = (id: string): string => id.toLowerCase().replace(/[./]/g, '-');

/** The month in which an id was given, as YYYY-MM. arXiv began in 1991. */
export function monthOfArxiv(id: string): string {
  const digits = id.includes('/') ? id.split('/')[1] : id;
  const [year, month] = [digits.slice(0, 2), digits.slice(2, 4)];
  return `${Number(year) >= 91 ? 19 : 20}${year}-${month}`;
}
