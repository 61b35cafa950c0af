"""What a run says while it goes on; its result goes to standard output."""

import sys
import time


def say(what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stderr.flush()
