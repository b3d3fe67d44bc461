import list from './thumbnails.json' with { type: 'json' };

/** Attention maps drawn by `npm run thumbnails`, by slug: pixels on each side and what they show. Files: assets/thumbnails. */
export const thumbnails: Readonly<Record<string, { size: number; says: string } | undefined>> = list;
