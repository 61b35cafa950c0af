"""Transform: renders pictures from what ingest stored. It needs the object store and nothing else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from libs.objects import open_objects
from libs.service import configure_logging, create_app
from libs.settings import load
from services.transform.budget import Budget
from services.transform.masters import Masters
from services.transform.render import prepare
from services.transform.routes import ROUTES, State
from services.transform.settings import Settings
from services.transform.variants import Limits, Variants


def main() -> Starlette:
    """The service, by the environment's settings."""
    settings = load(Settings)
    configure_logging("transform", settings.log_level)
    return build(settings)


def build(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State]:
        limits = Limits(settings.render_threads, settings.render_queue, settings.render_deadline_seconds)
        prepare()
        async with open_objects(settings) as objects:
            variants = Variants(
                Masters(objects, settings.masters_bytes, settings.masters_seconds),
                Budget(settings.picture_budget_seconds, settings.picture_budget_refill),
                limits,
                settings.recent_bytes,
                settings.recent_seconds,
            )
            try:
                yield State(checks={"objects": objects.ready}, variants=variants)
            finally:
                variants.close()

    return create_app(ROUTES, lifespan)
