"""A cache that is small and short."""

from services.transform.memory import Memory


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_there_until_its_time_is_over() -> None:
    clock = Clock()
    memory: Memory[str, bytes] = Memory(100, 10, len, clock)
    memory.put("a", b"12345")
    clock.now = 9.9
    assert memory.get("a") == b"12345"
    clock.now = 10
    assert memory.get("a") is None
    assert memory.bytes == 0


def test_the_oldest_goes_first_when_it_is_full() -> None:
    memory: Memory[int, bytes] = Memory(100, 10, len)
    for number in range(6):
        memory.put(number, bytes(20))
    assert [number for number in range(6) if memory.get(number)] == [1, 2, 3, 4, 5]
    assert memory.bytes == 100


def test_a_value_that_would_push_out_half_of_the_rest_is_not_kept() -> None:
    memory: Memory[str, bytes] = Memory(100, 10, len)
    memory.put("small", bytes(50))
    memory.put("large", bytes(51))
    assert memory.get("small")
    assert memory.get("large") is None


def test_the_same_key_again_replaces_the_value() -> None:
    memory: Memory[str, bytes] = Memory(100, 10, len)
    memory.put("a", bytes(10))
    memory.put("a", bytes(30))
    assert memory.bytes == 30
