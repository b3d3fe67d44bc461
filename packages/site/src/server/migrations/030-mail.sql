-- Who gets papers by mail. An address stands here and nowhere else; without a confirmation it goes after seven days.
CREATE TABLE subscribers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email text NOT NULL UNIQUE,
  -- paused: the mail server said that there is no such mailbox, or three digests in a row could not be delivered
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'active', 'paused')),
  cadence text NOT NULL DEFAULT 'daily' CHECK (cadence IN ('daily', 'weekly')),
  -- Digests go out at this hour of this zone.
  hour smallint NOT NULL DEFAULT 8 CHECK (hour BETWEEN 0 AND 23),
  zone text NOT NULL DEFAULT 'UTC',
  -- Proof of consent: which words were agreed to, where and when.
  consent text NOT NULL,
  source text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  confirmed_at timestamptz,
  -- Hash of the token that was mailed to confirm; used once.
  confirm_hash text UNIQUE,
  confirm_ends_at timestamptz,
  -- In every digest. It can do nothing but change and end this subscription, so it is kept as it is: links in old mails
  -- work after a restore on another machine.
  token text NOT NULL UNIQUE,
  -- Digests in a row that could not be delivered.
  failures integer NOT NULL DEFAULT 0
);

-- One row a subscriber and edition, made before anything is sent: mail/digests.ts says what the states promise.
CREATE TABLE deliveries (
  subscriber_id uuid NOT NULL REFERENCES subscribers ON DELETE CASCADE,
  -- The last day that the digest covers.
  edition date NOT NULL,
  first_day date NOT NULL,
  state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'claimed', 'handed', 'sent', 'failed')),
  -- Who sends it and until when others keep off; only the holder of the claim may hand the mail over.
  claim uuid,
  claimed_until timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  try_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  -- The mail server's code, such as 450; never its words, which often hold the address.
  answer integer,
  PRIMARY KEY (subscriber_id, edition)
);
CREATE INDEX deliveries_open ON deliveries (try_at) WHERE state IN ('planned', 'claimed');
