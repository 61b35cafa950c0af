-- What a request with an Idempotency-Key has made. Only finished uploads are here: one in flight is an advisory lock.
CREATE TABLE idempotency_keys (
    account_id  text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    image_id    text        NOT NULL REFERENCES images ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_image ON idempotency_keys (image_id);
