import { Form } from 'react-router';

/** Keeps the question of this page, to be told of what is new. */
export function SaveSearch({ query, name }: { query: string; name: string }) {
  return (
    <details className="save-search">
      <summary>Save this search</summary>
      <Form method="post" action="/library" className="inline">
        <input type="hidden" name="intent" value="save" />
        <input type="hidden" name="query" value={query} />
        <label>
          Name
          <input name="name" defaultValue={name.slice(0, 80)} required maxLength={80} />
        </label>
        <button type="submit">Save</button>
      </Form>
    </details>
  );
}
