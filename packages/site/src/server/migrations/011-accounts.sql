-- Who reads here. An address stands in users.email and, for minutes, in an open login; nowhere else.
CREATE TABLE users (
  id text PRIMARY KEY,
  -- What others see and mention: @name.
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  email_verified boolean NOT NULL,
  image text,
  role text NOT NULL DEFAULT 'reader' CHECK (role IN ('reader', 'author', 'curator', 'admin')),
  -- A bot may write, but neither its votes nor its comments count.
  is_bot boolean NOT NULL DEFAULT false,
  suspended_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_name ON users (lower(name));

-- better-auth's tables. A session's token is worth nothing without the signature in the cookie; a login's token is stored hashed.
CREATE TABLE sessions (
  id text PRIMARY KEY,
  token text NOT NULL UNIQUE,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  ip_address text,
  user_agent text,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE TABLE logins (
  id text PRIMARY KEY,
  identifier text NOT NULL,
  value text NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX logins_identifier ON logins (identifier);
-- Passwords and accounts elsewhere: better-auth insists on the table, and links by mail leave it empty.
CREATE TABLE identities (
  id text PRIMARY KEY,
  account_id text NOT NULL,
  provider_id text NOT NULL,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  access_token text,
  refresh_token text,
  id_token text,
  access_token_expires_at timestamptz,
  refresh_token_expires_at timestamptz,
  scope text,
  password text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

-- What curators and admins did, for ever; it names accounts by id and never by address.
CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  actor_id text REFERENCES users ON DELETE SET NULL,
  action text NOT NULL,
  target text NOT NULL,
  reason text
);

-- Counters of rate limits. Keys are hashed; losing them in a crash is harmless, so they need no journal.
CREATE UNLOGGED TABLE limits (
  key text PRIMARY KEY,
  used integer NOT NULL,
  ends_at timestamptz NOT NULL
);
