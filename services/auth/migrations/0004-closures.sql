-- Accounts that were deleted and of which something may be left elsewhere. It holds no personal data: the account,
-- its keys and its sessions are gone. A row stays until ingest has nothing more of the account, and no process of
-- ours can still write down what the account did.
CREATE TABLE auth.closures (
    account_id text PRIMARY KEY,
    request_id text NOT NULL,
    keys integer NOT NULL,
    sessions integer NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    purged_at timestamptz,
    next_attempt_at timestamptz NOT NULL
);

CREATE INDEX closures_due ON auth.closures (next_attempt_at);
