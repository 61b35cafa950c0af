"""The operator's command for pictures: `python -m services.ingest.admin delete-image img_…`."""

import argparse
import asyncio
import sys

from libs.database import open_database
from libs.errors import Unavailable
from libs.objects import open_objects
from libs.pictures import is_image_id
from libs.settings import load
from services.ingest.app import MIGRATIONS
from services.ingest.deletions import Deletions
from services.ingest.edges import open_edges
from services.ingest.settings import DeletionSettings


async def delete_image(image_id: str) -> int:
    """Take down one picture of any account. Exit status 1 where there is none, 3 while a node hangs."""
    settings = load(DeletionSettings)
    async with (
        open_database(
            settings.database_url, "ingest", MIGRATIONS, settings.database_timeout_seconds
        ) as database,
        open_objects(settings) as objects,
        open_edges(settings.edges, settings.control_secret, settings.edge_timeout_seconds) as edges,
    ):
        purged = await Deletions(database, objects, edges).image(None, image_id)
    if purged is None:
        print(f"{image_id}: there is no such picture", file=sys.stderr)
        return 1
    print(f"{image_id}: deleted {purged.objects} objects, told {len(purged.told.acknowledged)} nodes")
    if not purged.complete:
        print("not everything could be reached: the janitor of ingest goes on with it", file=sys.stderr)
        return 3
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.ingest.admin", description=__doc__)
    commands = parser.add_subparsers(required=True)
    delete = commands.add_parser("delete-image", help="take down one picture of any account")
    delete.add_argument("image_id")
    arguments = parser.parse_args()
    if not is_image_id(arguments.image_id):
        parser.error("an image id is img_ and 16 lower-case hex digits")
    try:
        return asyncio.run(delete_image(arguments.image_id))
    except Unavailable as error:
        print(f"a part is away, try again: {error.__cause__!r}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
