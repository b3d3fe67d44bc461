-- Verdicts of what workers measured stand on feeds and papers, and a paper names who put it forward.
CREATE CONSTRAINT TRIGGER page_version AFTER INSERT OR UPDATE OR DELETE ON measured
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
CREATE CONSTRAINT TRIGGER page_version AFTER UPDATE OF status OR DELETE ON submissions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_page_version();
