"""A picture's render budget."""

import pytest

from libs.errors import ApiError
from services.transform.budget import MAX_PICTURES, Budget
from tests.transform.test_memory import Clock


def test_a_picture_over_its_budget_waits_as_long_as_it_is_told() -> None:
    clock = Clock()
    budget = Budget(10, 0.5, clock)
    budget.charge("a", 9)
    budget.check("a")
    budget.charge("a", 3)
    with pytest.raises(ApiError) as caught:
        budget.check("a")
    assert caught.value.problem.code == "RATE_LIMIT_EXCEEDED"
    assert caught.value.headers["Retry-After"] == "4"
    clock.now = 4.1
    budget.check("a")


def test_one_picture_does_not_pay_for_another() -> None:
    budget = Budget(1, 1, Clock())
    budget.charge("a", 100)
    budget.check("b")


def test_it_remembers_a_bounded_number_of_pictures() -> None:
    budget = Budget(1, 1, Clock())
    for number in range(MAX_PICTURES + 1):
        budget.charge(str(number), 100)
    budget.check("0")
    with pytest.raises(ApiError):
        budget.check("1")
