"""The dialog for everybody: axe's rules for WCAG 2.2 AA in each state, and nothing cut off on small screens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .axe import violations
from .conftest import OpenPage
from .dialog import Dialog


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: OpenPage, article: int, scheme: str, width: int) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/", width=width, color_scheme=scheme)
    dialog = Dialog(page).open()
    assert violations(page) == []
    dialog.action("Generate").click()
    expect(dialog.prompt).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    dialog.generate(model="Slow model")
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    assert violations(page) == []
    dialog.wait_for_pictures()
    assert violations(page) == []
    dialog.use()
    assert violations(page) == []
    dialog.action("History").click()
    expect(dialog.root.get_by_role("heading", name="History")).to_be_focused()
    assert violations(page) == []


FITS = (
    "dialog => [dialog, ...dialog.querySelectorAll('.panes, form, section, .foot')]"
    ".every(box => box.scrollWidth <= box.clientWidth)"
)


@pytest.mark.parametrize("width", [320, 390, 860])
def test_nothing_is_cut_off(open_page: OpenPage, article: int, width: int) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/", width=width, height=700)
    dialog = Dialog(page).open().advanced()
    dialog.root.get_by_text("Show all").evaluate("button => button.click()")  # a phone's strip needs no such button
    assert dialog.root.evaluate(FITS)
    dialog.generate().wait_for_pictures()
    assert dialog.root.evaluate(FITS)
    for name in ("Generate", "Use", "Close"):
        expect(dialog.action(name)).to_be_in_viewport(ratio=1)
    dialog.action("Discard").scroll_into_view_if_needed()
    expect(dialog.action("Discard")).to_be_in_viewport(ratio=1)
    dialog.use()
    for name in ("Back", "Add to library only", "Insert", "Close"):
        expect(dialog.action(name)).to_be_in_viewport(ratio=1)


def test_everything_is_reached_at_400_percent(open_page: OpenPage, article: int) -> None:
    """A window of 1280 by 1024 pixels at 400 % is one of 320 by 256."""
    dialog = Dialog(open_page(f"/admin/articles/article/{article}/change/", width=320, height=256)).open().advanced()
    assert dialog.root.evaluate(FITS)
    for control in (dialog.prompt, dialog.seed, dialog.action("Generate")):
        control.scroll_into_view_if_needed()
        expect(control).to_be_in_viewport(ratio=1)
        assert control.evaluate(IS_ON_TOP)
    dialog.generate(count=1).wait_for_pictures().use()
    for control in (dialog.root.get_by_label("Alternative text"), dialog.action("Insert")):
        control.scroll_into_view_if_needed()
        assert control.evaluate(IS_ON_TOP)


IS_ON_TOP = """control => {
    const { x, y, width, height } = control.getBoundingClientRect();
    const top = control.getRootNode().elementFromPoint(x + width / 2, y + height / 2);
    return top === control || control.contains(top);
}"""
