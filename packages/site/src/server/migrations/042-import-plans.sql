-- What is imported by itself, once a day.
CREATE TABLE import_plans (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- As the importer takes it: source and what of it.
  request jsonb NOT NULL UNIQUE,
  -- From this hour on, in the zone of the editions.
  hour smallint NOT NULL CHECK (hour BETWEEN 0 AND 23),
  paused boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- The last day whose import ended, well or not, in the zone of the editions.
  done_on date,
  -- Somebody wants it now.
  asked boolean NOT NULL DEFAULT false,
  -- Who runs it and until when others keep off.
  claim uuid,
  claimed_until timestamptz,
  -- Of the import that is under way: failures so far, and when to try again.
  attempts integer NOT NULL DEFAULT 0,
  try_at timestamptz,
  -- How the last one ended: what it did, or why it could not.
  ended_at timestamptz,
  report jsonb,
  failure text
);
