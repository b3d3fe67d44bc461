import { Link } from 'react-router';
import type { SimilarPaper } from '../../../server/search/similar.ts';

/** Papers with much the same words, each with what the two share. */
export function Similar({ papers }: { papers: readonly SimilarPaper[] }) {
  return (
    <section aria-labelledby="similar-title" className="prose">
      <h2 id="similar-title">Similar papers</h2>
      <ul className="similar">
        {papers.map(({ paper, words, family, authors }) => (
          <li key={paper.slug}>
            <Link to={`/papers/${paper.slug}`}>{paper.title}</Link>
            <span className="where">
              {' '}
              {[
                words.length > 0 && `similar by its text: ${words.join(', ')}`,
                family && 'of the same family',
                authors.length > 0 && `by ${authors.join(', ')} too`,
              ]
                .filter(Boolean)
                .join('; ')}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
