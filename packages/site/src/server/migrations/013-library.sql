-- What an account keeps of papers for itself. A row without bookmark, state, note and tags is removed.
CREATE TABLE library (
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  bookmarked boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'none' CHECK (state IN ('none', 'to read', 'reading', 'read')),
  note text NOT NULL DEFAULT '',
  tags text[] NOT NULL DEFAULT '{}',
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, slug)
);
CREATE INDEX library_tags ON library USING gin (tags);

-- A question asked of the feed, kept as the query of its address.
CREATE TABLE saved_searches (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  name text NOT NULL,
  query text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, query)
);

-- Papers that a saved search has shown already: a new one is shown once.
CREATE TABLE saved_search_seen (
  search_id uuid NOT NULL REFERENCES saved_searches ON DELETE CASCADE,
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  PRIMARY KEY (search_id, slug)
);
