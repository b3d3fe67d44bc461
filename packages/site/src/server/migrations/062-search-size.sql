-- How much is indexed: ranking needs both numbers for every question, and to count the papers takes as long as a search.
-- Kept by what writes to the index (index-papers.ts), in the same transaction.
CREATE TABLE search_size (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  papers integer NOT NULL,
  -- words of all papers together
  length bigint NOT NULL
);
INSERT INTO search_size (papers, length) SELECT count(*), coalesce(sum(length), 0) FROM search_papers;
