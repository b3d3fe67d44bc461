CREATE TABLE votes (
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (slug, user_id)
);
CREATE INDEX votes_user ON votes (user_id);

CREATE TABLE comments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  -- NULL once the account is deleted; the comment is then deleted too, and its replies stay.
  author_id text REFERENCES users ON DELETE SET NULL,
  -- One level: an answer to an answer is an answer to the first comment.
  parent_id uuid REFERENCES comments ON DELETE CASCADE,
  -- Markdown as written, and what it was rendered to when it was stored; both empty once deleted.
  raw text NOT NULL,
  html text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  edited_at timestamptz,
  deleted_at timestamptz,
  -- Hidden by a curator, reversibly: the text stays for whoever decides again.
  removed_at timestamptz,
  removed_reason text
);
CREATE INDEX comments_slug ON comments (slug, created_at);
CREATE INDEX comments_author ON comments (author_id);

-- Texts that an edit replaced.
CREATE TABLE comment_versions (
  comment_id uuid NOT NULL REFERENCES comments ON DELETE CASCADE,
  version integer NOT NULL,
  raw text NOT NULL,
  html text NOT NULL,
  written_at timestamptz NOT NULL,
  PRIMARY KEY (comment_id, version)
);

CREATE TABLE notifications (
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  comment_id uuid NOT NULL REFERENCES comments ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('mention', 'reply')),
  created_at timestamptz NOT NULL DEFAULT now(),
  read_at timestamptz,
  -- Once for each comment, whatever is edited into it later.
  PRIMARY KEY (user_id, comment_id)
);

CREATE TABLE reports (
  comment_id uuid NOT NULL REFERENCES comments ON DELETE CASCADE,
  reporter_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  PRIMARY KEY (comment_id, reporter_id)
);
CREATE INDEX reports_open ON reports (created_at) WHERE closed_at IS NULL;

CREATE TABLE authorships (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  author_name text NOT NULL,
  evidence text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'confirmed', 'denied')),
  created_at timestamptz NOT NULL DEFAULT now(),
  decided_at timestamptz,
  reason text
);
-- A denied claim does not stand in the way of the next one.
CREATE UNIQUE INDEX authorships_open ON authorships (slug, user_id) WHERE status <> 'denied';
CREATE INDEX authorships_user ON authorships (user_id);
CREATE INDEX authorships_pending ON authorships (created_at) WHERE status = 'pending';
