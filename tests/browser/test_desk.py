"""Several requests at once: those that are not shown are offered, and can be put away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import PROMPT, Dialog
from .site import Site

KITE, BOAT = "a red kite", "a blue boat"


@pytest.fixture
def page(open_page: OpenPage, article: int) -> Page:
    return open_page(f"/admin/articles/article/{article}/change/")


@pytest.fixture
def dialog(page: Page) -> Dialog:
    """Opened anew on a page for whose field two requests are ready: one picture of a kite, then two of a boat."""
    dialog = Dialog(page).open().generate(KITE, count=1).wait_for_pictures()
    dialog.generate(BOAT, count=2)
    expect(dialog.pictures).to_have_count(2)
    page.reload()
    expect(page.get_by_role("button", name="AI image, 2 ready")).to_be_visible()
    return dialog.open()


def others(dialog: Dialog) -> Locator:
    """The buttons of the requests that are not shown."""
    return dialog.root.get_by_role("list", name=re.compile("more request|Also asked for")).get_by_role("button")


def test_what_the_number_counts_is_all_offered(page: Page, dialog: Dialog) -> None:
    expect(dialog.pictures).to_have_count(2)
    expect(dialog.root.get_by_role("status").filter(has_text="1 more request is ready:")).to_be_visible()
    expect(others(dialog)).to_have_text(f"{KITE}1 picture")
    assert violations(page) == []
    others(dialog).press("Enter")
    expect(dialog.pictures).to_have_count(1)
    expect(dialog.pictures).to_be_focused()
    expect(dialog.root.get_by_role("group", name="The chosen picture")).to_contain_text(KITE)
    expect(others(dialog)).to_have_text(f"{BOAT}2 pictures")

    dialog.use().action("Insert").click()
    expect(page.get_by_role("button", name="AI image, 1 ready")).to_be_visible()
    dialog.open()
    expect(dialog.pictures).to_have_count(2)
    expect(others(dialog)).to_have_count(0)


def test_pictures_can_be_put_away_and_found_again(page: Page, dialog: Dialog) -> None:
    expect(dialog.action("Not now")).to_have_accessible_description(re.compile("in the history"))
    dialog.action("Not now").click()
    expect(dialog.root.get_by_text("Put away. The history keeps them.").first).to_be_visible()
    expect(dialog.pictures).to_have_count(0)
    expect(others(dialog)).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("Enter")
    dialog.action("Not now").click()
    expect(dialog.prompt).to_be_focused()
    expect(dialog.action("Not now")).to_be_hidden()

    dialog.action("Close").click()
    expect(page.get_by_role("button", name="AI image", exact=True)).to_be_visible()
    dialog.open()
    expect(dialog.pictures).to_have_count(0)
    dialog.action("History").click()
    dialog.root.get_by_role("button", name=BOAT).first.click()
    expect(dialog.pictures).to_have_count(2)


def test_discarding_the_last_picture_leads_to_the_next_request(page: Page, dialog: Dialog) -> None:
    dialog.action("Discard").click()
    expect(dialog.pictures).to_have_count(1)
    dialog.action("Discard").click()
    expect(dialog.pictures).to_have_count(0)
    expect(others(dialog)).to_be_focused()
    dialog.action("Close").click()
    expect(page.get_by_role("button", name="AI image, 1 ready")).to_be_visible()


def test_while_one_is_drawn_another_can_be_looked_at(page: Page, dialog: Dialog) -> None:
    dialog.generate(PROMPT, model="Slow model", count=1)
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    before = dialog.root.locator(".box").bounding_box()
    others(dialog).filter(has_text=KITE).click()
    expect(dialog.pictures).to_have_count(1)
    drawn = others(dialog).filter(has_text=PROMPT)
    expect(drawn).to_contain_text("Being drawn")
    expect(drawn).to_contain_text("1 picture", timeout=30_000)
    drawn.click()
    expect(dialog.pictures).to_be_focused()
    assert dialog.root.locator(".box").bounding_box() == before


def test_after_an_insertion_nothing_leads_back_to_reviewing(site: Site, page: Page, dialog: Dialog) -> None:
    dialog.use()
    dialog.generate(PROMPT, count=1)
    expect(dialog.pictures).to_have_count(1)
    dialog.use().action("Insert").click()
    expect(dialog.root).to_be_hidden()
    elsewhere = Dialog(page.context.new_page())
    elsewhere.page.goto(page.url)
    elsewhere.open().generate("broken", model="Broken model", count=1)
    expect(elsewhere.alert).to_contain_text("An administrator")
    dialog.open()
    expect(dialog.alert).to_contain_text("An administrator")
    expect(dialog.root).to_have_attribute("data-state", "choosing")
    expect(dialog.pictures).to_have_count(2)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1280, 860), (860, 860)])
def test_all_is_in_sight_below_a_message(
    site: Site, open_page: OpenPage, article: int, width: int, height: int
) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/", width=width, height=height)
    dialog = Dialog(page).open().generate(KITE, count=1).wait_for_pictures()
    dialog.generate(model="Slow model", count=4)
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    site.execute("UPDATE cms_ai_images_worker SET pool = 'elsewhere'")
    try:
        expect(dialog.root.get_by_text("No worker is running")).to_be_visible(timeout=10_000)
    finally:
        site.execute("UPDATE cms_ai_images_worker SET pool = 'images'")
    page.route("**/health/**", lambda route: route.abort())  # what was said last stands
    expect(dialog.pictures).to_have_count(4)
    expect(dialog.root.get_by_text("No worker is running")).to_be_visible()
    pictures = dialog.root.get_by_role("img", name=re.compile("Picture . of 4"))
    tools = dialog.root.get_by_role("group", name="The chosen picture").get_by_role("button")
    for control in [*pictures.all(), *tools.all(), *others(dialog).all(), dialog.action("Not now")]:
        expect(control).to_be_in_viewport(ratio=1)
