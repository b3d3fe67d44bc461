-- What a digest tells of its reader's saved searches: chosen once, with the same commit that counts it as seen, so that
-- another try tells the same and no other digest tells it again.
ALTER TABLE deliveries ADD COLUMN found jsonb;
