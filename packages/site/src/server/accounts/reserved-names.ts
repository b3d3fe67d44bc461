/** Whose name stands for papers that came from lists: a client of the papers API expects somebody all the same. */
export const IMPORTER = 'saccade';

/** Names by which readers would take an account for the site, or for those who run it. */
const reserved = new Set([
  IMPORTER,
  ...[
    'admin',
    'administrator',
    'curator',
    'editor',
    'moderator',
    'operator',
    'owner',
    'root',
    'staff',
    'support',
  ],
  ...[
    'anonymous',
    'bot',
    'deleted',
    'nobody',
    'null',
    'system',
    'undefined',
    'arxiv',
    'huggingface',
    'importer',
  ],
]);

/** May no reader have this name? Case and dashes hide nothing, and neither does what is put after the name of the site. */
export function isReserved(name: string): boolean {
  const plain = name.toLowerCase().replaceAll('-', '');
  return reserved.has(plain) || plain.startsWith(IMPORTER);
}
