/** A text that is kept between runs, for one user. */
export interface UserCache {
  /** In words: a file, or the browser's database. */
  readonly place: string;
  /** The text, or undefined where none was kept. Rejects where it cannot be read. */
  read(): Promise<string | undefined>;
  /** Replaces the text; a reader sees the old or the new one. Rejects where it cannot be written. */
  write(text: string): Promise<void>;
}

/**
 * The text of a name: a file in the user's cache folder in Node (XDG_CACHE_HOME, or where the platform has it), an entry
 * of IndexedDB in a browser. undefined: there is no such place here.
 */
export function userCache(name: string): UserCache | undefined {
  if (typeof process !== 'undefined' && process.versions?.node !== undefined) return fileCache(name);
  return typeof indexedDB === 'undefined' ? undefined : databaseCache(name);
}

function fileCache(name: string): UserCache {
  // hidden from bundlers: a page never gets here
  const { mkdir, readFile, rename, rm, writeFile } = process.getBuiltinModule('node:fs/promises');
  const { join } = process.getBuiltinModule('node:path');
  const folder = join(cacheFolder(), 'saccade');
  const place = join(folder, `${name}.json`);
  return {
    place,
    read: async () => {
      try {
        return await readFile(place, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    write: async (text) => {
      await mkdir(folder, { recursive: true });
      const part = join(folder, `.${name}.${process.pid}.part`);
      try {
        await writeFile(part, text);
        await rename(part, place);
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
    },
  };
}

function cacheFolder(): string {
  const { homedir } = process.getBuiltinModule('node:os');
  const { isAbsolute, join } = process.getBuiltinModule('node:path');
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  // a relative path is to be ignored, says the XDG base directory specification
  if (XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME;
  if (process.platform === 'win32') return LOCALAPPDATA || join(homedir(), 'AppData', 'Local');
  return process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
}

const DATABASE = 'saccade';
const STORE = 'texts';

function databaseCache(name: string): UserCache {
  const run = async <T>(
    mode: IDBTransactionMode,
    ask: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await settled(opening);
    try {
      return await settled(ask(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
      database.close();
    }
  };
  return {
    place: `IndexedDB, ${DATABASE}/${STORE}/${name}`,
    read: async () => {
      const kept: unknown = await run('readonly', (store) => store.get(name));
      return typeof kept === 'string' ? kept : undefined;
    },
    write: async (text) => {
      await run('readwrite', (store) => store.put(text, name));
    },
  };
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
