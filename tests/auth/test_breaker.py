from services.auth.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(3):
        breaker.failed()
    return breaker


def test_two_failures_in_a_row_change_nothing() -> None:
    breaker = Breaker(Clock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.open
    assert breaker.allows()


def test_three_failures_in_a_row_open_it() -> None:
    breaker = opened(Clock())
    assert breaker.open
    assert not breaker.allows()


def test_one_call_a_second_goes_through_an_open_one() -> None:
    clock = Clock()
    breaker = opened(clock)
    for _ in range(3):
        clock.now += 1
        assert [breaker.allows() for _ in range(5)] == [True, False, False, False, False]
        breaker.failed()


def test_one_success_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows() for _ in range(5)] == [True] * 5
