"""What must hold of ingest's records at any moment."""

from typing import Final

# Accounts whose counters are not what a count says: none.
MISCOUNTED: Final = """
    WITH counted AS (
        SELECT account_id, count(*) AS images, sum(file_size) AS bytes FROM images
        WHERE status = 'ready' OR request_id IS NOT NULL GROUP BY account_id
    )
    SELECT account_id, storage.images, counted.images AS really, storage.bytes, counted.bytes AS really_bytes
    FROM storage FULL JOIN counted USING (account_id)
    WHERE (coalesce(storage.images, 0), coalesce(storage.bytes, 0))
        IS DISTINCT FROM (coalesce(counted.images, 0), coalesce(counted.bytes, 0))
"""
