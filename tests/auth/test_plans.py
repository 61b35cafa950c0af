import pytest

from services.auth import plans
from services.auth.plans import Plan, Plans, Rate


def test_the_default_plans_are_the_documented_ones() -> None:
    table = Plans.parse(plans.DEFAULT)
    assert [table.get(name) for name in table.names()] == [
        Plan("free", Rate(60, 20), 1000),
        Plan("pro", Rate(600, 100), 100_000),
        Plan("business", Rate(3000, 500), 1_000_000),
        Plan("unlimited", None),
    ]


def test_an_account_of_a_plan_that_is_gone_has_the_strictest_one() -> None:
    table = Plans.parse(
        '{"a": null, "b": {"per_minute": 5, "burst": 9}, "c": {"per_minute": 4, "burst": 99}}'
    )
    assert table.get("gone").name == "c"
    assert not table.known("gone")


def test_a_plan_may_limit_the_rate_or_the_images_or_both() -> None:
    table = Plans.parse('{"a": {"images": 7}, "b": {"per_minute": 5, "burst": 9}, "c": {}}')
    assert [table.get(name) for name in "abc"] == [
        Plan("a", None, 7),
        Plan("b", Rate(5, 9), None),
        Plan("c", None, None),
    ]
    assert table.get("gone").name == "b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "{",
        '{"free": {"per_minute": 0, "burst": 1}}',
        '{"free": {"per_minute": 60}}',
        '{"free": {"burst": 20, "images": 5}}',
        '{"free": {"images": 0}}',
        '{"free": {"per_minute": 60, "burst": 20, "bust": 1}}',
        '{"free": {"per_minute": 1.5, "burst": 20}}',
        '{"free": {"per_minute": 1, "burst": 1000001}}',
        '{"fr\\"ee": null}',
        '{"größer": null}',
    ],
)
def test_a_bad_table_names_the_setting(text: str) -> None:
    with pytest.raises(ValueError, match=r"^PLANS: "):
        Plans.parse(text)
