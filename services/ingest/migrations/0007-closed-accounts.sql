-- A deleted account takes no upload any more: one whose body was on its way may arrive later by a quarter of an hour.
ALTER TABLE storage ADD COLUMN closed_at timestamptz;

CREATE INDEX storage_closed ON storage (closed_at) WHERE closed_at IS NOT NULL;
