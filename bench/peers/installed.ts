import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Whether the peers are there: `npm run bench` and `npm test` install them, a plain clone has none. */
export const peersAreInstalled = existsSync(join(import.meta.dirname, '../node_modules/onnxruntime-web'));
