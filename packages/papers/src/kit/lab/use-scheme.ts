import { useSyncExternalStore } from 'react';

const dark = () => window.matchMedia('(prefers-color-scheme: dark)');

/** `dark` or `light`: what is drawn by hand is drawn again when the reader's scheme changes. */
export function useScheme(): 'dark' | 'light' {
  return useSyncExternalStore(
    (changed) => {
      const query = dark();
      query.addEventListener('change', changed);
      return () => query.removeEventListener('change', changed);
    },
    () => (dark().matches ? 'dark' : 'light'),
  );
}
