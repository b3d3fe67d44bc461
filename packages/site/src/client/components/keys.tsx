import { useEffect, useRef } from 'react';
import { useNavigate } from 'react-router';

/** Keyboard: / searches, Escape leaves the search, j and k move between cards, ? shows the keys. Silent while the reader types. */
export function Keys() {
  const navigate = useNavigate();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key === 'Escape' && target.id === 'search') target.blur();
      if (
        event.metaKey ||
        event.ctrlKey ||
        event.altKey ||
        target.closest('input, textarea, select, [contenteditable], .lab, dialog')
      )
        return;
      if (event.key === '/') {
        event.preventDefault();
        const search = document.querySelector<HTMLInputElement>('#search');
        if (search) search.focus();
        else navigate('/');
      } else if (event.key === 'j' || event.key === 'k') {
        const cards = [...document.querySelectorAll<HTMLElement>('.card h2 a')];
        if (cards.length === 0) return;
        const now = cards.indexOf(document.activeElement as HTMLElement);
        const next = event.key === 'j' ? Math.min(now + 1, cards.length - 1) : Math.max(now - 1, 0);
        cards[next].focus({ preventScroll: true });
        // At once: a key that is held down would outrun the page.
        cards[next].closest('.card')?.scrollIntoView({ block: 'nearest', behavior: 'instant' });
      } else if (event.key === '?') {
        dialog.current?.showModal();
      }
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [navigate]);
  return (
    <dialog ref={dialog} className="keys" aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl>
        <dt>
          <kbd>/</kbd>
        </dt>
        <dd>
          search, and <kbd>Esc</kbd> to leave it
        </dd>
        <dt>
          <kbd>j</kbd> <kbd>k</kbd>
        </dt>
        <dd>next and previous paper</dd>
        <dt>
          <kbd>?</kbd>
        </dt>
        <dd>this list</dd>
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
