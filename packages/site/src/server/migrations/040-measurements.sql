-- Machines that measure claims for the ledger. A worker has the private half of its key; here is the other.
CREATE TABLE workers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  -- Ed25519, 32 bytes as base64url
  public_key text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz,
  -- What it said of its machine when it last asked: adapter, processor, system.
  machine jsonb,
  -- Nothing that it signs is taken any more; what it measured before stays.
  revoked_at timestamptz
);

-- Numbers that workers used once for each message, kept while the message's time would still be taken.
CREATE TABLE worker_nonces (
  worker_id uuid NOT NULL REFERENCES workers ON DELETE CASCADE,
  nonce text NOT NULL,
  used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, nonce)
);
CREATE INDEX worker_nonces_age ON worker_nonces (used_at);

-- A paper whose claims are to be measured. Goes queued → running → done or failed; a running one whose lease ran out is
-- taken by whoever asks next.
CREATE TABLE measurements (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  quick boolean NOT NULL DEFAULT false,
  -- The only worker that may take it; NULL: any.
  worker_id uuid REFERENCES workers ON DELETE CASCADE,
  state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  asked_by text REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  taken_by uuid REFERENCES workers ON DELETE SET NULL,
  lease uuid,
  leased_until timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  progress text,
  ended_at timestamptz,
  failure text
);
CREATE INDEX measurements_open ON measurements (created_at) WHERE state IN ('queued', 'running');
CREATE INDEX measurements_ended ON measurements (ended_at DESC);
-- Asking twice is as asking once.
CREATE UNIQUE INDEX measurements_once ON measurements (slug, quick, worker_id) NULLS NOT DISTINCT
  WHERE state IN ('queued', 'running');

-- What workers measured: the message as it was signed, byte for byte, so that anybody can verify it again.
CREATE TABLE measured (
  number integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  measurement_id uuid NOT NULL UNIQUE REFERENCES measurements ON DELETE CASCADE,
  worker_id uuid NOT NULL REFERENCES workers ON DELETE CASCADE,
  slug text NOT NULL REFERENCES papers ON DELETE CASCADE,
  quick boolean NOT NULL,
  message text NOT NULL,
  signature text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX measured_latest ON measured (worker_id, slug, number DESC);
