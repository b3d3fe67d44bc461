-- Papers that come from outside: arXiv, Hugging Face, BibTeX. What a source does not say stays NULL.
ALTER TABLE papers ALTER COLUMN family DROP NOT NULL;
ALTER TABLE papers ALTER COLUMN summary DROP NOT NULL;
-- a small key for the postings of the search, and the order in which papers came
ALTER TABLE papers ADD COLUMN number integer GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX papers_number ON papers (number);
ALTER TABLE papers
  ADD COLUMN authors jsonb,
  ADD COLUMN abstract text,
  ADD COLUMN abstract_source text,
  ADD COLUMN abstract_licence text,
  ADD COLUMN published_at timestamptz,
  ADD COLUMN revised_at timestamptz,
  ADD COLUMN version integer CHECK (version > 0),
  ADD COLUMN withdrawn_at timestamptz,
  ADD COLUMN categories jsonb NOT NULL DEFAULT '[]',
  ADD COLUMN doi text,
  ADD COLUMN journal text,
  ADD COLUMN source text NOT NULL DEFAULT 'catalogue',
  ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
-- The instant at which a paper was listed; listed_on is its day in the edition zone. NULL where only a day is known.
ALTER TABLE papers ADD COLUMN listed_at timestamptz;
-- Kept by what writes votes and comments, in the same transaction; hot by the formula of queries/trending.ts.
ALTER TABLE papers ADD COLUMN IF NOT EXISTS upvotes integer NOT NULL DEFAULT 0 CHECK (upvotes >= 0);
ALTER TABLE papers ADD COLUMN IF NOT EXISTS comments integer NOT NULL DEFAULT 0 CHECK (comments >= 0);
ALTER TABLE papers ADD COLUMN IF NOT EXISTS hot double precision;
CREATE UNIQUE INDEX papers_arxiv ON papers (arxiv);
CREATE INDEX papers_hot ON papers (hot DESC NULLS LAST, slug);

-- What the site remembers of itself, such as the zone in which the days of listed_on were counted.
CREATE TABLE site_facts (
  name text PRIMARY KEY,
  value text NOT NULL
);

-- One row a host group: who may ask next, over all processes.
CREATE TABLE import_turns (
  host text PRIMARY KEY,
  next_at timestamptz NOT NULL DEFAULT now(),
  busy_until timestamptz,
  failures integer NOT NULL DEFAULT 0
);

-- How far a harvest has come, so that one that was stopped goes on.
CREATE TABLE import_cursors (
  name text PRIMARY KEY,
  value text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
