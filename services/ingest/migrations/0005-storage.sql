-- How much each account stores: every record that is ready, or that can still become so. The triggers keep it, in the
-- transaction that changes the records, whoever writes it: also a process of the version before this table.
CREATE TABLE storage (
    account_id text PRIMARY KEY,
    images     bigint NOT NULL DEFAULT 0,
    bytes      bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);  -- one row of an account is written again and again: room for its versions

-- A pending record that has lost its request has lost its claim: it never becomes ready, and counts no more.
CREATE FUNCTION is_stored(status text, request_id text) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN status = 'ready' OR request_id IS NOT NULL;

CREATE FUNCTION count_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- In one order, as any two transactions that lock several accounts must.
    INSERT INTO ingest.storage AS s (account_id, images, bytes)
    SELECT c.account_id, sign * count(*), sign * sum(c.file_size)
    FROM changed c, (SELECT CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END AS sign) AS direction
    WHERE ingest.is_stored(c.status, c.request_id)
    GROUP BY c.account_id, sign ORDER BY c.account_id
    ON CONFLICT (account_id) DO UPDATE
    SET images = s.images + excluded.images, bytes = s.bytes + excluded.bytes;
    RETURN NULL;
END $$;

CREATE FUNCTION count_lost() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ingest.storage SET images = images - 1, bytes = bytes - old.file_size WHERE account_id = old.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON images REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_stored();
CREATE TRIGGER count_deleted AFTER DELETE ON images REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_stored();
CREATE TRIGGER count_lost AFTER UPDATE ON images
    FOR EACH ROW
    WHEN (is_stored(old.status, old.request_id) AND NOT is_stored(new.status, new.request_id))
    EXECUTE FUNCTION count_lost();

-- The triggers have locked the table: nothing is written between this count and theirs.
INSERT INTO storage (account_id, images, bytes)
SELECT account_id, count(*), sum(file_size) FROM images WHERE is_stored(status, request_id) GROUP BY account_id;

-- An upload that comes again with its idempotency key takes the place of the attempt that was cut off.
ALTER TABLE images ADD COLUMN idempotency_key text;
CREATE UNIQUE INDEX images_by_attempt ON images (account_id, idempotency_key) WHERE status = 'pending';
