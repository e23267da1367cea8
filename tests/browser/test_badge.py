"""The number of ready pictures on the buttons that open the dialog."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .dialog import Dialog, pass_time
from .site import Site, wait_until


def change_page(article: int) -> str:
    return f"/admin/articles/article/{article}/change/"


def note_questions(page: Page) -> list[str]:
    """The requests for the numbers from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/tasks/ready/" in request.url else None)
    return asked


def questions_of_a_fresh_page(page: Page) -> list[str]:
    """Those that the page asks while it is opened and in the time in which a second question would come."""
    path = page.url
    page.goto("about:blank")
    asked = note_questions(page)
    page.clock.install()
    with page.expect_response(re.compile("/tasks/ready/")):
        page.goto(path)
    pass_time(page, 6)
    return asked


def test_a_page_asks_once_for_all_its_buttons(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    (asked,) = questions_of_a_fresh_page(page)
    assert f"articles.article%3A{article}" in asked
    expect(page.get_by_role("button", name="AI image", exact=True)).to_be_visible()


def test_pictures_get_ready_after_the_dialog_was_closed(site: Site, open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    page.clock.install()
    dialog = Dialog(page).open().generate(model="Slow model")
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    asked = note_questions(page)
    pass_time(page, 6)
    assert asked == [], "The open dialog knows better."
    with page.expect_response(re.compile("/tasks/ready/")):
        dialog.action("Close").click()
    newest = "SELECT status FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 1"
    assert site.query(newest) == [("running",)]
    wait_until(lambda: site.query(newest) == [("succeeded",)], "the pictures are ready")
    assert len(asked) == 1
    pass_time(page, 6)
    assert len(asked) == 2
    button = page.get_by_role("button", name="AI image, 1 ready")
    expect(button).to_be_visible()
    expect(button).to_have_accessible_description(re.compile("stays until you use a picture"))
    expect(page.get_by_role("status").filter(has_text="AI image, 1 ready")).to_have_count(1)
    expect(page.get_by_role("button", name="Create with AI", exact=True)).to_be_visible()  # another field's are its own
    assert page.evaluate("window.violations") == []

    pass_time(page, 6)
    assert len(asked) == 2, "Nothing is drawn any more, so nothing is asked."
    dialog.open().wait_for_pictures().use().action("Insert").click()
    plain = page.get_by_role("button", name="AI image", exact=True)
    expect(plain).to_be_visible()
    expect(plain).not_to_have_attribute("title", re.compile("Not now"))


def test_pictures_that_got_ready_elsewhere_are_told_when_the_page_is_opened(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    dialog = Dialog(page, "Create with AI").open().generate(count=1)
    page.goto("/admin/")
    page.goto(change_page(article))
    expect(page.get_by_role("button", name="Create with AI, 1 ready")).to_be_visible(timeout=30_000)
    dialog.open()
    expect(dialog.pictures).to_have_count(1)


def test_who_may_not_generate_is_asked_for_nothing_more(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article), user="reader")
    assert len(questions_of_a_fresh_page(page)) == 1
    expect(page.get_by_role("button", name="AI image", exact=True)).to_be_visible()
