import { thumbnails } from '@saccade/papers/thumbnails';
import { Link } from 'react-router';
import type { PaperView, VerdictName } from '../../shared/schemas.ts';
import { counted, Facts } from './facts.tsx';
import { VerdictCounts } from './verdicts.tsx';
import { Vote } from './vote.tsx';

/** A card's paper with how many of its claims have which verdict, and whether this reader voted for it. */
export interface CardPaper extends PaperView {
  verdicts: Partial<Record<VerdictName, number>>;
  voted: boolean;
}

/** The papers of a feed, in its order. */
export function Cards({ papers }: { papers: readonly CardPaper[] }) {
  return (
    <ol className="feed">
      {papers.map((paper) => (
        <Card key={paper.slug} paper={paper} />
      ))}
    </ol>
  );
}

function Card({ paper }: { paper: CardPaper }) {
  const text = paper.summary ?? paper.abstract;
  const thumbnail = thumbnails[paper.slug];
  return (
    <li className={thumbnail ? 'card pictured' : 'card'}>
      <div>
        <h2>
          <Link to={`/papers/${paper.slug}`}>{paper.title}</Link>
        </h2>
        <Facts paper={paper} />
        {text && <p className="summary">{text}</p>}
        <p className="labels">
          {paper.runs && <span className="label runs">runs</span>}
          {paper.family && <span className="label">{paper.family}</span>}
        </p>
        <VerdictCounts counts={paper.verdicts} />
        <div className="reactions">
          <Vote slug={paper.slug} title={paper.title} upvotes={paper.upvotes} voted={paper.voted} />
          <Link to={`/papers/${paper.slug}#discussion`}>
            {counted(paper.comments, 'comment')}
            <span className="hidden"> on {paper.title}</span>
          </Link>
        </div>
      </div>
      {thumbnail && (
        <img
          className="thumbnail"
          src={`/assets-lab/thumbnails/${paper.slug}.png`}
          alt={thumbnail.says}
          title={thumbnail.says}
          width={thumbnail.size}
          height={thumbnail.size}
          loading="lazy"
          decoding="async"
        />
      )}
    </li>
  );
}
