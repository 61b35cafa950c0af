-- The outbox of deletes, and of what failed uploads left. It holds no personal data: the record itself is gone.
-- A row stays until its objects are deleted, and every nginx has been told for as long as one may be starting.
CREATE TABLE deletions (
    image_id           text PRIMARY KEY,
    requested_at       timestamptz NOT NULL DEFAULT now(),
    objects_deleted_at timestamptz,
    next_attempt_at    timestamptz NOT NULL
);

CREATE INDEX deletions_due ON deletions (next_attempt_at);
