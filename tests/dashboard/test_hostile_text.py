"""What users type is text, wherever it is shown."""

from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from tests import pictures
from tests.dashboard.visitor import PAGES, Visitor
from tests.stack import Stack

TEXT: Final = "\"><img src=x onerror=\"window.hurt='an image'\"><script>window.hurt='a script'</script>"
LINK: Final = "javascript:window.hurt='a link'//"


@pytest.mark.parametrize("text", [TEXT, LINK])
def test_a_script_in_a_name_a_user_id_and_a_file_name_is_text_on_every_page(
    visitor: Visitor, tmp_path: Path, text: str
) -> None:
    name = text.replace("/", "\N{DIVISION SLASH}")  # a file's name has no slash
    file = tmp_path / f"{name}.png"
    file.write_bytes(pictures.png(12, 12))
    broken = tmp_path / f"{name}.jpg"
    broken.write_text("no picture")
    visitor.expects = {400}
    visitor.sign_up(text)
    rows = visitor.upload(file, broken, user_id=text)
    expect(rows.filter(has_text=broken.name)).to_contain_text("INVALID_IMAGE_FORMAT")
    expect(rows.filter(has_text=f"user {text}")).to_be_visible()
    for page in PAGES:
        visitor.visit(page)
        expect(visitor.page.locator(".who .name")).to_have_text(text)
        assert visitor.page.evaluate("window.hurt") is None
    visitor.visit("images")
    expect(visitor.page.locator(".tile .user")).to_have_text(text)
    visitor.visit("keys")
    visitor.page.get_by_label("Name").fill(text)
    visitor.page.get_by_role("button", name="Make a key").click()
    expect(visitor.page.get_by_role("row").filter(has_text=text)).to_be_visible()
    assert visitor.page.evaluate("window.hurt") is None


def test_the_policy_stops_html_even_if_somebody_writes_it(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_up()
    tried = "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } }"
    assert visitor.page.evaluate(tried) == "TypeError"
    visitor.complaints = [text for text in visitor.complaints if "TrustedHTML" not in text]
