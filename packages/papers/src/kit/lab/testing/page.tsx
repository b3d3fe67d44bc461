import type { ComponentType } from 'react';
import { createRoot } from 'react-dom/client';
import './theme.css';

/** The smallest page that a lab can stand on: what the site does, without the site. The address names the lab. */
export async function showLab(labs: Readonly<Record<string, () => Promise<{ Lab: ComponentType }>>>) {
  const open = labs[window.location.pathname.slice(1)];
  const root = document.getElementById('root');
  if (!open || !root) return;
  const { Lab } = await open();
  createRoot(root).render(<Lab />);
}
