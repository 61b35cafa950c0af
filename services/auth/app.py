"""Auth as an ASGI application: its parts are made and put together here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from libs import service
from libs.database import open_database
from libs.identity import Signer, parse_secrets
from libs.service import Degraded
from libs.settings import load
from libs.usage import open_usage, refuse
from services.auth import accounts, keyring
from services.auth.authorizer import Authorizer
from services.auth.bucket import BucketUnavailable, SharedBucket, open_shared_bucket
from services.auth.callers import Callers
from services.auth.changes import Changes
from services.auth.closures import Closures
from services.auth.csrf import Csrf
from services.auth.ingest import open_ingest
from services.auth.limiter import Limiter
from services.auth.local_buckets import LocalBuckets
from services.auth.plans import Plans
from services.auth.routes import ROUTES
from services.auth.routes.authorize import LIMITED
from services.auth.routes.state import State
from services.auth.settings import Settings
from services.auth.signups import Signups
from services.auth.uses import Uses

SCHEMA = "auth"
MIGRATIONS = Path(__file__).with_name("migrations")


def main() -> Starlette:
    """The factory for uvicorn; settings come from the environment."""
    settings = load(Settings)
    service.configure_logging("auth", settings.log_level)
    return create_app(settings)


def create_app(settings: Settings) -> Starlette:
    secrets = parse_secrets(settings.identity_secrets.reveal())
    signer = Signer(secrets)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with (
            open_database(
                settings.database_url.reveal(),
                SCHEMA,
                MIGRATIONS,
                settings.database_timeout_seconds,
                settings.database_connections,
            ) as database,
            open_shared_bucket(settings.redis_url.reveal(), settings.redis_timeout_seconds) as shared,
            open_usage(database, settings.usage_seconds) as usage,
            open_ingest(settings.ingest_url, signer) as ingest,
        ):
            callers = Callers(
                partial(accounts.find, database),
                entries=settings.key_cache_entries,
                fresh_seconds=settings.key_fresh_seconds,
                stale_seconds=settings.key_stale_seconds,
            )
            uses = Uses(partial(keyring.record_uses, database), settings.last_use_seconds)
            local, plans = LocalBuckets(settings.auth_processes), Plans.parse(settings.plans)
            changes = Changes(shared)
            closures = Closures(database, changes, ingest)
            limiter = Limiter(shared, local)
            for name in plans.names():
                LIMITED.labels(name)  # a series at 0, as in libs/metrics.py
            flushing = asyncio.create_task(uses.flush_for_ever())
            closing = asyncio.create_task(closures.run(settings.closures_seconds))
            try:
                yield State(
                    checks={"postgres": database.ready, "redis": partial(_redis_ready, shared)},
                    authorizer=Authorizer(callers, shared, local, plans, uses, usage),
                    signer=signer,
                    csrf=Csrf(secrets),
                    database=database,
                    changes=changes,
                    plans=plans,
                    signups=Signups(
                        database,
                        limiter,
                        settings.signup,
                        settings.signup_plan,
                        per_address=settings.signups_per_address_hour,
                        in_all=settings.signups_hour,
                    ),
                    limiter=limiter,
                    sign_ins=settings.sign_ins_per_address_hour,
                    usage=usage,
                    ingest=ingest,
                    closures=closures,
                )
            finally:
                closing.cancel()
                flushing.cancel()
                await uses.flush()

    return service.create_app(ROUTES, lifespan, refuse)


async def _redis_ready(shared: SharedBucket) -> None:
    """Without Redis the rates are kept by each process for itself: worse, and no reason to refuse callers."""
    try:
        await shared.ready()
    except BucketUnavailable as error:
        raise Degraded from error
