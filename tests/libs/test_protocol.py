import asyncio

import pytest

from libs.protocol import OneWrite

pytestmark = pytest.mark.anyio


class Recorded(asyncio.Transport):
    """What was sent at a time."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.sent.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.sent


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        ([b"head", b"body"], [b"headbody"]),
        ([b"head"], [b"head"]),
        ([b"head", b"1", b"2"], [b"head1", b"2"]),
        ([b"head", b"1", b"head", b"2"], [b"head1", b"head2"]),
    ],
)
async def test_what_is_written_in_one_turn_leaves_in_pairs(pieces: list[bytes], sent: list[bytes]) -> None:
    recorded = Recorded()
    transport = OneWrite(recorded, asyncio.get_running_loop())
    for piece in pieces:
        transport.write(piece)
    await asyncio.sleep(0)
    assert recorded.sent == sent


async def test_a_head_whose_body_is_late_goes_ahead() -> None:
    recorded = Recorded()
    transport = OneWrite(recorded, asyncio.get_running_loop())
    transport.write(b"head")
    await asyncio.sleep(0)
    transport.write(b"body")
    await asyncio.sleep(0)
    assert recorded.sent == [b"head", b"body"]


async def test_closing_sends_what_waits_first() -> None:
    recorded = Recorded()
    transport = OneWrite(recorded, asyncio.get_running_loop())
    transport.write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert (recorded.sent, transport.is_closing()) == ([b"head", b"closed"], True)
