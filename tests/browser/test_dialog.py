"""The dialog while it asks, waits and shows; bad days are in test_bad_days.py."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import OpenPage
from .dialog import PROMPT, Dialog, pass_time
from .site import Site, wait_until


@pytest.fixture
def page(open_page: OpenPage, article: int) -> Page:
    return open_page(f"/admin/articles/article/{article}/change/")


def test_an_empty_prompt_is_refused_at_its_field(site: Site, page: Page) -> None:
    before = site.count_tasks()
    dialog = Dialog(page).open()
    dialog.action("Generate").click()
    expect(dialog.prompt).to_have_attribute("aria-invalid", "true")
    expect(dialog.prompt).to_have_accessible_description(re.compile("Describe the picture first"))
    expect(dialog.prompt).to_be_focused()
    dialog.root.get_by_role("button", name="a fox in a meadow").click()
    expect(dialog.prompt).not_to_have_attribute("aria-invalid", "true")
    assert site.count_tasks() == before


def test_a_seed_that_is_no_number_is_refused_in_sight(page: Page) -> None:
    dialog = Dialog(page).open()
    dialog.prompt.fill(PROMPT)
    dialog.root.get_by_text("Advanced").click()
    dialog.seed.fill("many")
    dialog.action("Generate").click()
    expect(dialog.seed).to_be_focused()
    expect(dialog.root.get_by_text("Give a whole number")).to_be_in_viewport(ratio=1)


def test_the_progress_is_told_in_words(page: Page) -> None:
    dialog = Dialog(page).open().generate(model="Endless model")
    status = dialog.root.get_by_text("Drawing, step", exact=False).first
    expect(status).to_contain_text("of 40")
    expect(dialog.root.get_by_role("progressbar")).to_be_visible()
    expect(status).to_contain_text("about")
    expect(dialog.root.locator(".waiting canvas")).to_have_count(2)
    expect(dialog.action("Generate")).to_have_attribute("aria-disabled", "true")
    dialog.action("Cancel").click()
    expect(dialog.root.get_by_text("Cancelled. Your description is kept.").first).to_be_visible()
    expect(dialog.prompt).to_have_value(PROMPT)
    expect(dialog.action("Cancel")).to_be_hidden()


def test_the_boxes_stay_where_they_are_when_the_pictures_come(page: Page) -> None:
    dialog = Dialog(page).open().generate(model="Slow model")
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    before = [box.bounding_box() for box in dialog.root.locator(".box").all()]
    dialog.wait_for_pictures()
    assert [box.bounding_box() for box in dialog.root.locator(".box").all()] == before


def test_without_event_streams_it_asks(page: Page) -> None:
    page.route("**/events/", lambda route: route.fulfill(status=204))
    dialog = Dialog(page).open().generate(model="Slow model", count=1)
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    expect(dialog.root.locator(".waiting canvas")).to_have_count(1)  # small pictures come with the answers
    dialog.wait_for_pictures()
    expect(dialog.pictures).to_have_count(1)


def test_closing_loses_nothing(page: Page) -> None:
    dialog = Dialog(page).open().generate(model="Slow model")
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog.root).to_be_hidden()
    dialog.open()
    expect(dialog.action("Cancel")).to_be_visible()
    page.reload()
    Dialog(page, "Create with AI").open()  # another field: not its picture
    expect(dialog.prompt).to_have_value("")
    page.keyboard.press("Escape")
    dialog.open()
    expect(dialog.prompt).to_have_value(PROMPT)
    dialog.wait_for_pictures()
    expect(dialog.pictures).to_have_count(2)


def test_pictures_can_be_kept_without_being_inserted_or_thrown_away(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate().wait_for_pictures()
    dialog.action("Discard").click()
    expect(dialog.pictures).to_have_count(1)
    dialog.use().action("Add to library only").click()
    expect(dialog.root.get_by_text("Added to the media library.").first).to_be_visible()
    states = site.query("SELECT review_state FROM cms_ai_images_generatedimage ORDER BY id DESC LIMIT 2")
    assert sorted(states) == [("accepted",), ("discarded",)]
    expect(page.locator(".tiptap img")).to_have_count(0)


def requests_to_the_api(page: Page) -> list[str]:
    """All that the page asks from now on, in a list that grows."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/v1/" in request.url else None)
    return asked


def test_while_it_waits_it_is_told_whether_pictures_would_be_drawn(site: Site, page: Page) -> None:
    notice = "No worker is running, so nothing would be drawn"
    dialog = Dialog(page).open().generate(model="Endless model", count=1)
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    asked = requests_to_the_api(page)
    site.execute("UPDATE cms_ai_images_worker SET pool = 'elsewhere'")
    try:
        expect(dialog.root.get_by_text(notice)).to_be_visible(timeout=10_000)
        assert asked == []
    finally:
        site.execute("UPDATE cms_ai_images_worker SET pool = 'images'")
    dialog.action("Cancel").click()
    expect(dialog.root.get_by_text("Cancelled.", exact=False).first).to_be_visible()
    expect(dialog.root.get_by_text(notice)).to_have_count(0)


@pytest.mark.parametrize("way, most", [("streams", 1), ("asks", 12), ("asks while hidden", 4)])
def test_waiting_asks_little(page: Page, way: str, most: int) -> None:
    """Thirty seconds of one task: one request where there are event streams, twelve at most where there are none."""
    if way != "streams":
        page.route("**/events/", lambda route: route.fulfill(status=204))
    page.clock.install()
    dialog = Dialog(page).open().advanced()
    dialog.form.get_by_label("Steps").fill("150")  # it must not be over before thirty seconds of a busy machine are
    asked = requests_to_the_api(page)
    with page.expect_response("**/events/"):
        dialog.generate(model="Endless model", count=1)
    if "hidden" in way:
        page.evaluate("() => Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
    pass_time(page, 30)
    expect(dialog.root).to_have_attribute("data-state", re.compile("queued|generating"))
    waiting = asked[1 + next(n for n, url in enumerate(asked) if url.endswith("/tasks/")) :]
    waiting = [url for url in waiting if "/preferences/" not in url]  # belongs to asking
    assert 1 <= len(waiting) <= most, waiting
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    dialog.action("Cancel").click()
    expect(dialog.root.get_by_text("Cancelled.", exact=False).first).to_be_visible()


def tab_to(page: Page, target: Locator, most: int = 40) -> None:
    """Press Tab until `target` has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element.matches(':focus')"):
            return
    raise AssertionError(f"{target} is not reached with {most} Tabs.")


def test_everything_works_with_the_keyboard_alone(site: Site, page: Page) -> None:
    page.locator(".tiptap").focus()
    page.get_by_role("button", name="AI image", exact=True).focus()
    page.keyboard.press("Enter")
    dialog = Dialog(page)
    expect(dialog.prompt).to_be_focused()
    dialog.root.get_by_role("group", name="Style").wait_for()
    page.keyboard.type(PROMPT)
    tab_to(page, dialog.root.get_by_role("radio", name="None"))
    page.keyboard.press("ArrowRight")
    expect(dialog.root.get_by_role("radio", name="Photo")).to_be_checked()
    tab_to(page, dialog.action("Generate"))
    page.keyboard.press("Enter")
    expect(dialog.pictures.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(dialog.pictures.nth(1)).to_be_checked()
    tab_to(page, dialog.action("Use"))
    page.keyboard.press("Enter")
    tab_to(page, dialog.root.get_by_label("Alternative text"))
    page.keyboard.press("Enter")
    expect(page.locator(".tiptap img")).to_have_attribute("alt", PROMPT)
    wait_until(lambda: page.evaluate("document.activeElement.closest('.tiptap') !== null"), "the editor has the focus")


def test_control_enter_does_what_one_is_about_to_do(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    dialog.prompt.fill(PROMPT)
    dialog.root.get_by_role("radio", name="None").focus()
    expect(dialog.action("Generate")).to_have_accessible_description(re.compile(r"Ctrl \+ Enter"))
    page.keyboard.press("Control+Enter")
    dialog.wait_for_pictures().use()
    count = site.count_tasks()
    expect(dialog.root.get_by_label("Alternative text")).to_be_focused()
    page.keyboard.press("Control+Enter")  # a picture under review is inserted
    expect(page.locator(".tiptap img")).to_have_count(1)
    assert site.count_tasks() == count

    dialog.open().generate(count=1).wait_for_pictures().use()
    dialog.prompt.fill("another one")
    page.keyboard.press("Control+Enter")  # but who writes a description wants it to be drawn
    expect(dialog.action("Insert")).to_be_hidden()
    dialog.wait_for_pictures()
    assert site.count_tasks() == count + 2
    expect(page.locator(".tiptap img")).to_have_count(1)

    dialog.action("History").click()
    dialog.root.get_by_role("searchbox").press("Control+Enter")
    expect(dialog.root.get_by_role("heading", name="History")).to_be_visible()
    assert site.count_tasks() == count + 2


def test_the_focus_stays_in_the_dialog_when_its_control_goes(page: Page) -> None:
    dialog = Dialog(page).open().generate(model="Quick model").wait_for_pictures()
    dialog.model.select_option(label="Endless model")
    dialog.action("Use").focus()
    page.keyboard.press("Control+Enter")
    expect(dialog.action("Cancel")).to_be_focused()
    page.wait_for_timeout(600)  # "Cancel" does nothing at once, lest a double click cancels
    page.keyboard.press("Enter")
    expect(dialog.action("Generate")).to_be_focused()
    dialog.generate(model="Quick model").wait_for_pictures()
    dialog.pictures.first.focus()
    dialog.model.evaluate("select => (select.value = 'endless')")
    page.keyboard.press("Control+Enter")
    expect(dialog.action("Cancel")).to_be_focused()
