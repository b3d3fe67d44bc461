-- Papers that readers put forward. Only approved ones become papers.
CREATE TABLE submissions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  -- arXiv id without version
  arxiv text NOT NULL,
  -- Where the facts are from: told by arXiv, or typed in by the reader.
  source text NOT NULL CHECK (source IN ('arxiv', 'typed')),
  -- The paper as the importer takes it.
  paper jsonb NOT NULL,
  note text NOT NULL DEFAULT '',
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'refused')),
  created_at timestamptz NOT NULL DEFAULT now(),
  decided_at timestamptz,
  reason text,
  -- When its reader saw the decision.
  read_at timestamptz
);
CREATE UNIQUE INDEX submissions_open ON submissions (arxiv) WHERE status = 'pending';
CREATE INDEX submissions_user ON submissions (user_id);
CREATE INDEX submissions_pending ON submissions (created_at) WHERE status = 'pending';
