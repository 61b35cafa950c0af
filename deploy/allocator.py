"""How the services get and give back memory: environment that counts at the start of a process."""

import ctypes.util
from typing import Final

# What pictures of many sizes leave behind goes back to the system (decisions/0014).
GLIBC: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}
JEMALLOC: Final = {"MALLOC_CONF": "narenas:2,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"}


def allocator(service: str) -> dict[str, str]:
    """Renders are 7 % cheaper with jemalloc; the box counts address space, which jemalloc keeps."""
    library = ctypes.util.find_library("jemalloc") if service == "transform" else None
    return JEMALLOC | {"LD_PRELOAD": library} if library else GLIBC
