import { createRoot } from 'react-dom/client';
import { labs } from '../../../labs.ts';
import './theme.css';

/** The smallest page that a lab can stand on: what the site does, without the site. */
const slug = window.location.pathname.slice(1);
const open = labs[slug];
const root = document.getElementById('root');
if (open && root) {
  const { Lab } = await open();
  createRoot(root).render(<Lab />);
}
