"""Tells every node that an account has changed."""

import logging
from typing import Final

from prometheus_client import Counter

from services.auth.bucket import BucketUnavailable, SharedBucket

UNTOLD: Final = Counter("changes_untold_total", "Changes that hold within a minute only: Redis was away")

log = logging.getLogger(__name__)


class Changes:
    def __init__(self, shared: SharedBucket) -> None:
        self._shared = shared

    async def announce(self, account_id: str, *revoked_ids: str) -> None:
        """Makes a committed change hold on the next request; `revoked_ids`: of keys and sessions.

        The change is made, so without Redis it is not refused: it holds when what is cached is read again.
        """
        try:
            await self._shared.changed(account_id, *revoked_ids)
        except BucketUnavailable:
            UNTOLD.inc()
            log.warning("a change holds within a minute only", extra={"account": account_id})
