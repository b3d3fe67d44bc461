import { Form, Link, useActionData, useNavigation } from 'react-router';
import type { ActionError } from '../../../server/act.ts';
import type { CommentView } from '../../../server/queries/comments.ts';
import { COMMENT_LIMIT } from '../../../shared/social.ts';
import { RefusalOf } from '../../components/answers.tsx';
import { dateInWords } from '../../components/facts.tsx';
import { Said } from '../../components/said.tsx';

interface Props {
  slug: string;
  comments: readonly CommentView[];
  /** The reader's name; undefined for who is not logged in. */
  viewer?: string;
  /** The comment that the reader has just reported. */
  reported?: string;
}

/** Comments with one level of answers. All of it is forms, which work without scripts. */
export function Discussion({ slug, comments, viewer, reported }: Props) {
  // Once something was said or edited, forms are empty and closed again.
  const said = comments.flatMap((comment) => [comment, ...comment.replies]);
  const version = said.map(({ id, editedAt }) => id + editedAt).join();
  return (
    <section aria-labelledby="discussion" className="prose discussion">
      <h2 id="discussion">Discussion</h2>
      {comments.length === 0 && <p className="quiet">Nobody has said anything yet.</p>}
      <ol className="comments" key={version}>
        {comments.map((comment) => (
          <li key={comment.id}>
            <Comment comment={comment} viewer={viewer} reported={reported} />
            {comment.replies.length > 0 && (
              <ol className="comments replies">
                {comment.replies.map((reply) => (
                  <li key={reply.id}>
                    <Comment comment={reply} parent={comment.id} viewer={viewer} reported={reported} />
                  </li>
                ))}
              </ol>
            )}
          </li>
        ))}
      </ol>
      {viewer ? (
        <Writing key={`new ${version}`} intent="comment" label="Your comment" button="Comment" />
      ) : (
        <p>
          <Link to={`/login?next=${encodeURIComponent(`/papers/${slug}#discussion`)}`}>Log in</Link> to
          comment.
        </p>
      )}
    </section>
  );
}

function Comment({
  comment,
  parent,
  viewer,
  reported,
}: {
  comment: CommentView;
  parent?: string;
  viewer?: string;
  reported?: string;
}) {
  const { id, author, state, html, createdAt, editedAt, own } = comment;
  return (
    <article
      id={`comment-${id}`}
      className="comment"
      aria-label={`Comment by ${author?.name ?? 'a deleted account'}`}
    >
      <p className="facts">
        {author ? <Link to={`/users/${author.name}`}>{author.name}</Link> : <span>—</span>}
        {author?.isAuthor && <span className="label runs">author</span>}
        {author?.isBot && <span className="label">bot</span>}
        <a href={`#comment-${id}`}>
          <time dateTime={createdAt}>{dateInWords(createdAt)}</time>
        </a>
        {editedAt && state === 'shown' && <Link to={`/comments/${id}`}>edited</Link>}
      </p>
      {state === 'shown' ? (
        <Said html={html} />
      ) : (
        <p className="quiet">
          {state === 'deleted' ? 'Deleted by its author.' : `Removed by a curator: ${comment.reason}`}
        </p>
      )}
      {reported === id && (
        <p role="status" className="quiet">
          Reported; a curator will look at it.
        </p>
      )}
      {viewer && state === 'shown' && (
        <div className="deeds">
          <Deed name="Reply">
            <Writing intent="comment" parent={parent ?? id} label="Your reply" button="Reply" />
          </Deed>
          {own ? (
            <>
              <Deed name="Edit">
                <Writing
                  intent="edit"
                  comment={id}
                  label="Your comment"
                  button="Save"
                  text={comment.raw ?? ''}
                />
              </Deed>
              <Deed name="Delete">
                <Form method="post">
                  <input type="hidden" name="intent" value="delete" />
                  <input type="hidden" name="comment" value={id} />
                  <p>The text goes for good; replies stay.</p>
                  <button type="submit">Delete it</button>
                  <RefusalOf intent={`delete ${id}`} />
                </Form>
              </Deed>
            </>
          ) : (
            <Deed name="Report">
              <Form method="post">
                <input type="hidden" name="intent" value="report" />
                <input type="hidden" name="comment" value={id} />
                <label>
                  What is wrong with it?
                  <input name="reason" required maxLength={500} />
                </label>
                <button type="submit">Report</button>
                <RefusalOf intent={`report ${id}`} />
              </Form>
            </Deed>
          )}
        </div>
      )}
    </article>
  );
}

function Deed({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <details>
      <summary>{name}</summary>
      {children}
    </details>
  );
}

/** A text to write, with what was refused still in it. */
function Writing({
  intent,
  label,
  button,
  text = '',
  parent,
  comment,
}: {
  intent: 'comment' | 'edit';
  label: string;
  button: string;
  text?: string;
  parent?: string;
  comment?: string;
}) {
  const refused = useActionData<ActionError>();
  const { state, formData } = useNavigation();
  const mine = `${intent} ${comment ?? parent ?? ''}`.trim();
  const draft = refused?.intent === mine ? refused.draft : undefined;
  const busy = state !== 'idle' && formData?.get('intent') === intent;
  return (
    <Form method="post" className="writing" key={draft ?? text}>
      <input type="hidden" name="intent" value={intent} />
      {parent && <input type="hidden" name="parent" value={parent} />}
      {comment && <input type="hidden" name="comment" value={comment} />}
      <label>
        {label}
        <textarea name="text" required maxLength={COMMENT_LIMIT} rows={4} defaultValue={draft ?? text} />
      </label>
      <p className="quiet">Markdown, $math$, and @name to mention somebody.</p>
      <button type="submit" disabled={busy}>
        {button}
      </button>
      <RefusalOf intent={mine} />
    </Form>
  );
}
