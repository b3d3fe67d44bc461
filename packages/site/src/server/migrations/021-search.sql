-- BM25 in plain tables: runs alike on PGlite and PostgreSQL and needs no extension.
CREATE TABLE search_terms (
  id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  term text NOT NULL UNIQUE,
  -- the word as most readers would write it, for "similar because"
  word text NOT NULL,
  papers integer NOT NULL DEFAULT 0
);
-- length is repeated in every posting, so that a query reads one index and nothing else.
CREATE TABLE search_postings (
  term integer NOT NULL,
  paper integer NOT NULL,
  count smallint NOT NULL,
  length smallint NOT NULL,
  PRIMARY KEY (term, paper) INCLUDE (count, length)
);
-- What was indexed of a paper: the way back from a paper to its postings.
CREATE TABLE search_papers (
  paper integer PRIMARY KEY,
  digest text NOT NULL,
  length integer NOT NULL,
  terms jsonb NOT NULL,
  -- words alone, a space before and after each: phrases are looked up here
  words text NOT NULL
);
