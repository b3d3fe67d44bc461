-- Kept by recount() in queries/counts.ts in the transaction of each vote and comment: always what a count of the rows gives.
ALTER TABLE papers
  ADD COLUMN upvotes integer NOT NULL DEFAULT 0,
  ADD COLUMN comments integer NOT NULL DEFAULT 0,
  -- Grows with votes and comments and with their date, never shrinks by time alone; NULL while there is nothing to weigh.
  ADD COLUMN hot double precision;
