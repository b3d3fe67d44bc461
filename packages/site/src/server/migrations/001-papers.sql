-- Unknown facts are NULL and are shown as unknown, never as zero.
CREATE TABLE papers (
  slug text PRIMARY KEY,
  title text NOT NULL,
  arxiv text,
  listed_on date,
  author_count integer CHECK (author_count > 0),
  comment_count integer CHECK (comment_count >= 0),
  links jsonb NOT NULL DEFAULT '[]',
  family text NOT NULL,
  summary text NOT NULL,
  added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX papers_listed_on ON papers (listed_on DESC NULLS LAST, slug);
CREATE INDEX papers_family ON papers (family);
