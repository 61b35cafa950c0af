-- Two things end a delete, each by itself: the objects are gone, and after that every nginx has taken the tombstone.
-- A delete that nginx sends again, because the process that took it died, is known by its request.
ALTER TABLE deletions ADD COLUMN told_at timestamptz, ADD COLUMN request_id text;

CREATE INDEX deletions_by_request ON deletions (request_id) WHERE request_id IS NOT NULL;
