import { createContext } from 'react';

/** A secret of one rendering, on the server only: the scripts that bear it are ours. */
export const Nonce = createContext<string | undefined>(undefined);
