"""Choosing among the pictures: by keyboard, seen large, side by side, and what can be done with one of them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import PROMPT, Dialog
from .site import Site


@pytest.fixture
def page(open_page: OpenPage, article: int) -> Page:
    return open_page(f"/admin/articles/article/{article}/change/")


def large(dialog: Dialog) -> Locator:
    """The large view of one picture."""
    return dialog.root.get_by_role("dialog", name="Large view")


def pair(dialog: Dialog) -> Locator:
    """Two pictures side by side."""
    return dialog.root.get_by_role("dialog", name="Compare")


def seeds(site: Site, count: int) -> list[int]:
    """The seeds of the newest task's pictures, in the order in which they are shown."""
    rows = site.query("SELECT seed FROM cms_ai_images_generatedimage ORDER BY id DESC LIMIT ?", count)
    return [row[0] for row in reversed(rows)]


def test_arrows_move_in_the_grid_space_chooses_and_enter_opens(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=4).wait_for_pictures()
    dialog.pictures.first.focus()
    for key, place in [("ArrowRight", 1), ("ArrowDown", 3), ("ArrowLeft", 2), ("ArrowUp", 0), ("End", 3), ("Home", 0)]:
        page.keyboard.press(key)
        expect(dialog.pictures.nth(place)).to_be_focused()
        page.keyboard.press("Space")
        expect(dialog.pictures.nth(place)).to_be_checked()
    page.keyboard.press("ArrowUp")  # there is nothing above
    expect(dialog.pictures.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(large(dialog).get_by_role("img", name="Picture 2 of 4")).to_be_visible()
    page.keyboard.press("Escape")
    expect(large(dialog)).to_be_hidden()
    expect(dialog.root).to_be_visible()
    expect(dialog.pictures.nth(1)).to_be_focused()


def test_the_large_view_walks_through_the_pictures_and_what_was_seen_last_is_chosen(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=2).wait_for_pictures()
    dialog.pictures.first.dblclick()
    view = large(dialog)
    expect(view.get_by_role("button", name="Use this picture")).to_be_focused()
    expect(view.get_by_text(f"Seed {seeds(site, 2)[0]}")).to_be_visible()
    expect(view.get_by_text(PROMPT)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(view.get_by_role("status")).to_have_text("Picture 2 of 2")
    expect(view.get_by_text(f"Seed {seeds(site, 2)[1]}")).to_be_visible()
    assert violations(page) == []
    view.get_by_role("button", name="Next picture").click()
    expect(view.get_by_role("status")).to_have_text("Picture 1 of 2")
    view.get_by_role("button", name="Previous picture").click()
    view.get_by_role("button", name="Back to the pictures").click()
    expect(view).to_be_hidden()
    expect(dialog.pictures.nth(1)).to_be_checked()
    expect(dialog.pictures.nth(1)).to_be_focused()


def test_two_are_compared_side_by_side_and_one_of_them_is_used(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=4).wait_for_pictures()
    dialog.pictures.nth(2).check()
    dialog.action("Compare").click()
    view = pair(dialog)
    left, right = view.get_by_role("img", name="Picture 3 of 4"), view.get_by_role("img", name="Picture 4 of 4")
    expect(left).to_be_visible()
    expect(right).to_be_visible()
    assert violations(page) == []
    # The one that stands on the other side already is passed over.
    view.get_by_role("group", name="Picture 4 of 4").get_by_role("button", name="Next picture").click()
    expect(view.get_by_role("img", name="Picture 1 of 4")).to_be_visible()
    expect(left).to_be_visible()
    expect(right).to_have_count(0)
    view.get_by_role("group", name="Picture 1 of 4").get_by_role("button", name="Use this picture").click()
    expect(view).to_be_hidden()
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_count(1)
    accepted = site.query(
        "SELECT seed FROM cms_ai_images_generatedimage WHERE review_state = 'accepted' ORDER BY reviewed_at"
    )
    assert accepted[-1][0] == seeds(site, 4)[0]


def test_seed_and_settings_of_each_are_shown_and_taken_back_into_the_form(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    dialog.root.get_by_role("radio", name="Photo").check()
    dialog.generate().wait_for_pictures()
    tools = dialog.root.get_by_role("group", name="The chosen picture")
    for place, seed in enumerate(seeds(site, 2)):
        dialog.pictures.nth(place).check()
        expect(tools).to_contain_text(f"Seed {seed} · 512 × 512 · 12 steps · Guidance 4 · Photo · Quick model")
    dialog.root.get_by_role("radio", name="None").first.check()
    dialog.prompt.fill("something else")
    dialog.action("Use these settings").click()
    expect(dialog.root.get_by_role("radio", name="Photo")).to_be_checked()
    expect(dialog.root.get_by_label("Seed", exact=True)).to_have_value(str(seeds(site, 2)[1]))


def test_a_picture_is_refined_with_its_seed_and_varied_with_others(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    first = seeds(site, 1)[0]
    dialog.action("Variations").click()
    expect(dialog.root.get_by_text(f"Seed {first} ")).to_have_count(0)
    dialog.wait_for_pictures()
    (other,) = seeds(site, 1)
    assert other != first
    prompts = site.query("SELECT request ->> 'prompt' FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 2")
    assert prompts == [(PROMPT,), (PROMPT,)]
    dialog.action("Refine").click()
    expect(dialog.prompt).to_be_focused()
    expect(dialog.prompt).to_have_value(PROMPT)
    dialog.prompt.fill(f"{PROMPT}, in the rain")
    dialog.action("Generate").click()
    expect(dialog.action("Use")).to_be_hidden()
    dialog.wait_for_pictures()
    assert seeds(site, 1) == [other]


def test_refining_goes_on_at_the_end_of_the_words(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    dialog.action("Refine").click()
    expect(dialog.prompt).to_be_focused()
    page.keyboard.type(" in the rain")
    expect(dialog.prompt).to_have_value(f"{PROMPT} in the rain")


@pytest.mark.parametrize("action", ["Use these settings", "Refine", "Variations"])
def test_what_was_written_since_can_be_brought_back(page: Page, action: str) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    dialog.prompt.fill("my own words")
    dialog.action(action).click()
    expect(dialog.prompt).to_have_value(PROMPT)
    dialog.action("Bring back my text").click()
    expect(dialog.prompt).to_have_value("my own words")


def test_a_picture_is_downloaded_under_a_name_that_says_what_it_is(page: Page, tmp_path: Path) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    with page.expect_download() as download:
        dialog.root.get_by_role("link", name="Download").click()
    assert re.match(r"a-lighthouse-on-a-cliff", download.value.suggested_filename)
    download.value.save_as(tmp_path / "picture")
    assert Image.open(io.BytesIO((tmp_path / "picture").read_bytes())).size == (512, 512)


def test_a_discarded_picture_goes_and_the_one_beside_it_is_chosen(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=4).wait_for_pictures()
    dialog.pictures.nth(1).check()
    kept = seeds(site, 4)[2]
    dialog.action("Discard").click()
    expect(dialog.pictures).to_have_count(3)
    expect(dialog.pictures.nth(1)).to_be_checked()
    expect(dialog.pictures.nth(1)).to_be_focused()
    expect(dialog.root.get_by_text(f"Seed {kept} ")).to_be_visible()
    states = site.query("SELECT review_state FROM cms_ai_images_generatedimage ORDER BY id DESC LIMIT 4")
    assert states == [("draft",), ("draft",), ("discarded",), ("draft",)]


ACCEPT_ELSEWHERE = """async () => {
    const {results: [task]} = await (await fetch("/ai-images/api/v1/tasks/?limit=1")).json();
    const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
    const answer = await fetch(`/ai-images/api/v1/images/${task.images[0].id}/accept/`, {
        method: "POST", body: '{"decorative": true}',
        headers: {"Content-Type": "application/json", "X-CSRFToken": token},
    });
    return answer.status;
}"""


def test_a_picture_that_was_taken_elsewhere_is_not_discarded_and_shown_as_taken(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=2).wait_for_pictures()
    assert page.evaluate(ACCEPT_ELSEWHERE) == 200
    dialog.action("Discard").click()
    expect(dialog.alert).to_contain_text("in the media library already")
    expect(dialog.root.get_by_text("In the library", exact=True)).to_be_visible()
    expect(dialog.pictures).to_have_count(2)


def test_the_same_words_and_seed_draw_nothing_anew_and_that_is_said(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    count = site.count_tasks()
    dialog.action("Use these settings").click()
    dialog.action("Generate").click()
    expect(dialog.root.get_by_text("Drawn already", exact=False).first).to_be_visible()
    expect(dialog.pictures).to_have_count(1)

    dialog.use().root.get_by_label("Alternative text").fill("My own words")
    dialog.action("Generate").click()
    expect(dialog.root.get_by_text("Drawn already", exact=False).first).to_be_visible()
    expect(dialog.root).to_have_attribute("data-state", "choosing")
    assert site.count_tasks() == count
    dialog.use()
    expect(dialog.root.get_by_label("Alternative text")).to_have_value("My own words")


def test_what_was_thrown_away_or_taken_does_not_come_back_as_it_was(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=2).wait_for_pictures()
    dialog.action("Discard").click()
    expect(dialog.pictures).to_have_count(1)
    waiting = dialog.root.get_by_role("list", name=re.compile("more request|Also asked for")).get_by_role("button")
    for step in ("discarded", "taken"):
        dialog.generate(model="Endless model", count=1)
        expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
        expect(waiting).to_have_text([f"{PROMPT}1 picture"] if step == "discarded" else [])
        page.wait_for_timeout(600)  # a double click cancels nothing
        dialog.action("Cancel").click()
        expect(dialog.root.get_by_text("Cancelled.", exact=False).first).to_be_visible()
        expect(dialog.pictures).to_have_count(1)
        expect(dialog.root.locator(".box")).to_have_count(1)
        if step == "discarded":
            dialog.use().action("Add to library only").click()
        expect(dialog.root.get_by_text("In the library", exact=True)).to_be_visible()


def test_pictures_that_are_gone_are_said_to_be(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=4).wait_for_pictures()
    newest = site.query("SELECT id, file FROM cms_ai_images_generatedimage ORDER BY id DESC LIMIT 4")
    fourth, third = newest[0], newest[1]
    site.execute("UPDATE cms_ai_images_generatedimage SET review_state = 'purged', file = '' WHERE id = ?", fourth[0])
    for file in (site.folder / "drafts" / third[1]).parent.glob(f"{Path(third[1]).name}*"):
        file.unlink()
    page.route("**/preview/", lambda route: route.continue_())  # past the browser's cache
    page.reload()
    dialog.open()
    expect(dialog.root.get_by_text("Nobody took this picture, so it was deleted.")).to_be_visible()
    expect(dialog.root.get_by_text("This picture is gone.")).to_be_visible()
    expect(dialog.pictures).to_have_count(2)
    expect(dialog.pictures.first).to_be_checked()
    assert violations(page) == []


def test_a_picture_that_cannot_be_shown_just_now_can_still_be_chosen(page: Page) -> None:
    page.route("**/preview/", lambda route: route.fulfill(status=503))
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    expect(dialog.root.get_by_text("This picture cannot be shown just now.")).to_be_visible()
    expect(dialog.pictures).to_be_checked()
    expect(dialog.action("Use")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_small_screen_nothing_is_cut_off(open_page: OpenPage, article: int, scheme: str) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/", width=320, height=640, color_scheme=scheme)
    dialog = Dialog(page).open().generate(count=2).wait_for_pictures()
    dialog.action("Discard").scroll_into_view_if_needed()
    expect(dialog.action("Discard")).to_be_in_viewport(ratio=1)
    dialog.action("Compare").click()
    view = pair(dialog)
    assert violations(page) == []
    for button in view.get_by_role("button").all():
        button.scroll_into_view_if_needed()
        expect(button).to_be_in_viewport(ratio=1)
    assert view.evaluate("view => view.scrollWidth <= view.clientWidth")
