import { Form } from 'react-router';
import type { VerdictView } from '../../../shared/schemas.ts';

/** How a measurement is made once more: by a curator on a machine of this site, by everybody on their own. */
export function Again({
  row,
  hasLab,
  workers,
}: {
  row: VerdictView;
  hasLab: boolean;
  /** Machines to which the reader may give it, by name; undefined for who is no curator. */
  workers?: Readonly<Record<string, string>>;
}) {
  const { slug, quick, worker } = row;
  const same = worker && workers?.[worker];
  return (
    <details>
      <summary>measure again</summary>
      <p>
        <code>
          npx saccade check {slug}
          {quick && ' --quick'}
        </code>{' '}
        on your machine
        {hasLab && (
          <>
            , or by hand in <a href="#lab">the lab</a>
          </>
        )}
        .
      </p>
      {workers && (
        <Form method="post" action="/admin/measurements">
          <input type="hidden" name="intent" value="measure" />
          <input type="hidden" name="paper" value={slug} />
          <input type="hidden" name="worker" value={same || 'any'} />
          {quick && <input type="hidden" name="quick" value="1" />}
          <button type="submit">Queue it for {same ? worker : 'any machine'}</button>
        </Form>
      )}
    </details>
  );
}
