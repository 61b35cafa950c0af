"""Ingest: takes uploads, stores them, and knows what there is."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from libs.database import open_database
from libs.identity import Signer, parse_secrets
from libs.objects import open_objects
from libs.service import configure_logging, create_app
from libs.settings import load
from libs.usage import open_usage, refuse
from services.ingest import inner
from services.ingest.admission import Admission
from services.ingest.deletions import Deletions
from services.ingest.edges import open_edges
from services.ingest.failpoints import Failpoints
from services.ingest.idempotency import Claims
from services.ingest.images import Images
from services.ingest.janitor import Janitor
from services.ingest.routes import ROUTES, State
from services.ingest.sandbox import Limits, open_sandbox
from services.ingest.settings import Settings
from services.ingest.spool import open_spool
from services.ingest.uploads import Uploads

MIGRATIONS: Final = Path(__file__).parent / "migrations"
# The walk of a small file computes in a thread for up to 3 ms. Every read, write and fsync of the others asks
# for the interpreter's lock again afterwards, and waits this long for it, not the 5 ms of Python's choice.
SWITCH_SECONDS: Final = 0.0005


def main() -> Starlette:
    """The service, by the environment's settings."""
    settings = load(Settings)
    configure_logging("ingest", settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    return build(settings)


def build(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State]:
        limits = Limits(settings.box_deadline_seconds, settings.box_cpu_seconds, settings.box_memory_bytes)
        async with (
            open_sandbox(settings.box_workers, settings.box_queue, limits) as sandbox,
            open_spool(settings.spool_dir) as spool,
            open_database(
                settings.database_url, "ingest", MIGRATIONS, settings.database_timeout_seconds
            ) as database,
            open_usage(database, settings.usage_seconds) as usage,
            open_objects(settings) as objects,
            open_edges(settings.edges, settings.control_secret, settings.edge_timeout_seconds) as edges,
        ):
            await sandbox.start()
            images = Images(database)
            deletions = Deletions(database, objects, edges)
            claims = Claims(settings.database_url, settings.database_timeout_seconds)
            uploads = Uploads(
                images,
                objects,
                deletions,
                sandbox,
                claims,
                Failpoints(settings.failpoints_dir),
                usage,
            )
            janitor = asyncio.create_task(
                Janitor(images, deletions, settings.janitor_seconds, settings.pending_seconds).run()
            )
            yield State(
                checks={"postgres": database.ready, "objects": objects.ready},
                signer=Signer(parse_secrets(settings.identity_secrets.reveal())),
                admission=Admission(settings.box_workers + settings.box_queue, settings.box_workers),
                uploads=uploads,
                upload_seconds=settings.upload_seconds,
                images=images,
                deletions=deletions,
                spool=spool,
                cdn_url=settings.public_cdn_url,
                usage=usage,
            )
            janitor.cancel()
            await uploads.close()
            await claims.close()

    return create_app([*ROUTES, *inner.ROUTES], lifespan, refuse)
