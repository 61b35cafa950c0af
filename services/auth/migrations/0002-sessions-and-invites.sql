-- The last characters of a key, so that its owner can tell it from the others; none for keys made before.
ALTER TABLE auth.keys ADD COLUMN hint text CHECK (length(hint) = 4);

-- A browser that is signed in. It ends with its key, whatever its own expiry says.
CREATE TABLE auth.sessions (
    id text PRIMARY KEY CHECK (id ~ '^sess_[0-9a-f]{16}$'),
    account_id text NOT NULL REFERENCES auth.accounts ON DELETE CASCADE,
    key_id text NOT NULL REFERENCES auth.keys ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    user_agent text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_by_account ON auth.sessions (account_id, created_at);
CREATE INDEX sessions_by_key ON auth.sessions (key_id);

CREATE TABLE auth.invites (
    id text PRIMARY KEY CHECK (id ~ '^inv_[0-9a-f]{16}$'),
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    note text NOT NULL,
    uses integer NOT NULL CHECK (uses > 0),
    used integer NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND uses),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
