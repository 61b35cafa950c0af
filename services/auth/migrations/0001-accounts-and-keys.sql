CREATE TABLE auth.accounts (
    id text PRIMARY KEY CHECK (id ~ '^acct_[0-9a-f]{16}$'),
    name text NOT NULL,
    email text,
    plan text NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    -- Grows with every change of the account or of one of its keys: a cached key of another epoch is read again.
    epoch bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE auth.keys (
    id text PRIMARY KEY CHECK (id ~ '^key_[0-9a-f]{16}$'),
    account_id text NOT NULL REFERENCES auth.accounts ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE INDEX keys_by_account ON auth.keys (account_id, created_at);
