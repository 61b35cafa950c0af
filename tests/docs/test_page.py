"""The page says what the code does, and reads without JavaScript."""

import re

import httpx2
import msgspec
import pytest
import pyvips

from deploy.nginx.errors import PAGES
from libs import errors
from libs.errors import Problem
from services.auth import plans
from services.auth.plans import Plans
from tests.docs import page
from tests.docs.page import Element
from tests.e2e import calls
from tests.stack import Stack

EXAMPLE_ID = "img_1234567890abcdef"
PROBLEMS = [value for value in vars(errors).values() if isinstance(value, Problem)]


def statuses() -> dict[str, set[int]]:
    """Of each code, from the services and from nginx."""
    found: dict[str, set[int]] = {problem.code: {problem.status} for problem in PROBLEMS}
    for status, problem, _ in PAGES.values():
        found[problem.code].add(status)
    return found


def test_every_error_code_is_documented_with_its_statuses(source: Element) -> None:
    [table] = source.all("tbody", "data-errors")
    documented = {}
    for row in table.all("tr"):
        code, status, when = row.all("th") + row.all("td")
        assert row.attributes["id"] == code.text
        assert when.text
        documented[code.text] = {int(number) for number in status.text.split(",")}
    assert documented == statuses()


def test_the_error_that_is_shown_is_the_one_that_is_sent(source: Element) -> None:
    for code, text in source.named("data-error").items():
        [problem] = [problem for problem in PROBLEMS if problem.code == code]
        assert msgspec.json.decode(text) == msgspec.json.decode(errors.body(problem))


def test_the_plans_are_the_default_ones(source: Element) -> None:
    [table] = source.all("tbody", "data-plans")
    documented = {}
    for row in table.all("tr"):
        name, *numbers = (cell.text for cell in row.all("th") + row.all("td"))
        documented[name] = [int(number.replace(",", "")) for number in numbers if number != "no limit"]
    table_of_plans = Plans.parse(plans.DEFAULT)
    configured = [table_of_plans.get(name) for name in table_of_plans.names()]
    assert documented == {
        plan.name: [plan.rate.per_minute, plan.rate.burst, plan.images] if plan.rate else []
        for plan in configured
    }


def test_every_link_into_the_page_has_its_target_and_no_id_comes_twice(source: Element) -> None:
    ids = [element.attributes["id"] for element in source.all(None, "id")]
    assert len(set(ids)) == len(ids)
    targets = {link.attributes["href"] or "" for link in source.all("a", "href")}
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)


def test_every_section_is_in_the_navigation(source: Element) -> None:
    [navigation] = source.all("nav")
    linked = [link.attributes["href"] for link in navigation.all("a")]
    assert linked == [f"#{section.attributes['id']}" for section in source.all("section")]
    for section in source.all("section"):
        assert section.all("h2")


def test_the_page_needs_no_script_and_asks_no_other_host(source: Element) -> None:
    assert [script.attributes.get("src") for script in source.all("script")] == ["/assets/theme.js"]
    assert not source.all("style")
    assert not source.all(None, "style")
    for element in source.all(None, "src") + source.all(None, "href"):
        address = element.attributes.get("src") or element.attributes.get("href") or ""
        assert re.match(r"/(?!/)|#", address)


def test_what_the_page_links_to_is_there(source: Element, stack: Stack) -> None:
    elements = source.all(None, "href") + source.all(None, "src")
    addresses = {each.attributes.get("href") or each.attributes.get("src") or "" for each in elements}
    with calls.client(stack) as browser:
        for address in sorted(address for address in addresses if address.startswith("/")):
            assert browser.get(address).status_code == 200, address


def test_the_page_is_served_with_the_bases_of_this_installation(make_docs: str, stack: Stack) -> None:
    written = page.FILE.read_text()
    assert make_docs == written.replace("{{PUBLIC_API_URL}}", stack.base_url).replace(
        "{{PUBLIC_CDN_URL}}", stack.base_url
    )
    assert "{{" not in make_docs


@pytest.fixture
def make_docs(stack: Stack) -> str:
    with calls.client(stack) as browser:
        answer = browser.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def test_every_example_of_a_url_gives_what_it_says(docs: Element, api: httpx2.Client, image_id: str) -> None:
    examples = docs.named("data-url")
    assert examples
    for element in docs.all("code", "data-url"):
        said = element.attributes["data-url"]
        picture = httpx2.get(element.text.replace(EXAMPLE_ID, image_id))
        image = pyvips.Image.new_from_buffer(picture.content, "")
        assert f"{image.width}x{image.height} {picture.headers['content-type']}" == said
