-- A number that rises with each commit that changes what a reader without an account may see: rendered pages are kept as
-- long as it stays (page-cache.ts). One row, so that commits get their numbers in the order in which they happen.
CREATE TABLE page_version (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version bigint NOT NULL
);
INSERT INTO page_version (version) VALUES (1);

CREATE OR REPLACE FUNCTION raise_page_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Once a transaction, however many rows it changes.
  IF current_setting('saccade.raised', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
    UPDATE page_version SET version = version + 1;
    PERFORM set_config('saccade.raised', pg_current_xact_id()::text, true);
  END IF;
  RETURN NULL;
END $$;

-- Deferred to the commit: the row is taken last and for that moment only, so nobody waits for it with other rows in hand.
CREATE CONSTRAINT TRIGGER page_version AFTER INSERT OR UPDATE OR DELETE ON papers
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
CREATE CONSTRAINT TRIGGER page_version AFTER INSERT OR UPDATE OR DELETE ON comments
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
CREATE CONSTRAINT TRIGGER page_version AFTER INSERT OR UPDATE OR DELETE ON authorships
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
-- What the search index says decides which papers are similar.
CREATE CONSTRAINT TRIGGER page_version AFTER INSERT OR UPDATE OR DELETE ON search_papers
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
-- An account made or deleted shows on no page by itself; its name and its role stand beside its comments.
CREATE CONSTRAINT TRIGGER page_version AFTER UPDATE OF name, role, is_bot, suspended_at ON users
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
