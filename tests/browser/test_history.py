"""The history in the dialog: everything the author ever asked for, found again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import Dialog
from .site import Site

ADD = "/admin/articles/article/add/"
# People of this module's own, so that nobody else's tasks are among theirs; their passwords are their names.
CONTENTS = """
from datetime import datetime, timedelta, UTC
from django.contrib.auth.models import User
from cms_ai_images.library import intake
from cms_ai_images.models import GenerationModel, StylePreset
from cms_ai_images.types import PictureDetails
from project.demo import seeds
from tests.factories import make_image, make_task

def make_person(name, *permissions):
    user = User.objects.create_user(name, password=name, is_staff=True, last_name=name.title())
    articles = ["articles.add_article", "articles.change_article", "articles.view_article"]
    user.user_permissions.set(map(seeds.permission, ["cms_ai_images.generate", *articles, *permissions]))
    return user

author = make_person("historian")
make_person("newcomer")
make_person("curator", "cms_ai_images.view_all_tasks")
quick = GenerationModel.objects.get(slug="quick")
preset = StylePreset.objects.filter(published=True).first()
start = datetime(2026, 3, 1, 12, tzinfo=UTC)
size = {"width": 512, "height": 512, "steps": 12, "guidance_scale": 4.0}
for number in range(25):
    make_task(author, quick, prompt=f"an old boat, number {number}", status="cancelled", created_at=start, **size)
styled = make_task(author, quick, prompt="a fox in pencil", status="succeeded", num_images=2,
                   preset_version=preset.current_version, preset_label=preset.name,
                   created_at=start + timedelta(days=1), **size)
make_image(task=styled)
intake.accept(make_image(task=styled, index=1), PictureDetails())
make_task(author, quick, prompt="a storm", status="failed", error_code="out_of_memory",
          created_at=start + timedelta(days=2), **size)
make_task(author, quick, prompt="a broken <b>thing</b>", status="failed", error_code="picture_withheld",
          created_at=start + timedelta(days=2), **size)
"""


@pytest.fixture(scope="module", autouse=True)
def tasks(site: Site) -> None:
    site.python(CONTENTS)


@pytest.fixture
def opened(open_page: OpenPage) -> Iterator[Dialog]:
    yield open_history(open_page(ADD, user="historian"))


def open_history(page: Page) -> Dialog:
    dialog = Dialog(page).open()
    dialog.action("History").click()
    expect(dialog.root.get_by_role("heading", name="History")).to_be_focused()
    expect(status(dialog)).not_to_have_text("Looking")
    return dialog


def items(dialog: Dialog) -> Locator:
    return dialog.root.get_by_role("list", name="History").get_by_role("listitem")


def status(dialog: Dialog) -> Locator:
    return dialog.root.locator("[data-part=history-status]")


def test_everything_is_found_by_words_style_state_and_day(opened: Dialog) -> None:
    expect(status(opened)).to_have_text("20 shown")
    opened.action("Show more").click()
    expect(status(opened)).to_have_text("All 28")
    expect(opened.action("Show more")).to_be_hidden()
    search = opened.root.get_by_role("searchbox")
    search.fill("Fox PENCIL")
    expect(status(opened)).to_have_text("All 1")
    expect(items(opened)).to_contain_text("2 pictures · in the media library")
    search.fill("nothing like it")
    expect(opened.root.get_by_text("Nothing fits what you are looking for.")).to_be_visible()
    opened.action("Clear search and filters").click()
    expect(search).to_be_focused()
    expect(status(opened)).to_have_text("20 shown")

    opened.root.get_by_text("Filters", exact=True).click()
    filters = opened.root.get_by_role("search")
    filters.get_by_label("State").select_option(label="Failed")
    expect(items(opened).filter(has_text="a broken <b>thing</b>")).to_be_visible()
    expect(items(opened).filter(has_text="boat")).to_have_count(0)
    filters.get_by_label("State").select_option(label="All states")
    style = filters.get_by_label("Style")
    style.select_option(index=1)
    expect(status(opened)).to_have_text("All 1")
    style.select_option(index=0)
    filters.get_by_label("From").fill("2026-03-02")
    filters.get_by_label("To", exact=True).fill("2026-03-02")
    expect(status(opened)).to_have_text("All 1")
    filters.get_by_label("From").fill("2026-03-03")
    expect(filters.get_by_text("The last day is before the first one.")).to_be_visible()
    expect(filters.get_by_label("To", exact=True)).to_have_attribute("aria-invalid", "true")


def test_a_task_is_opened_as_if_it_had_just_been_drawn(opened: Dialog) -> None:
    opened.root.get_by_role("button", name="a fox in pencil").press("Enter")
    expect(opened.root.get_by_role("heading", name="History")).to_be_hidden()
    expect(opened.pictures).to_have_count(2)
    expect(opened.pictures.first).to_be_focused()


def test_a_failed_task_says_why_and_is_tried_again_where_that_may_help(opened: Dialog) -> None:
    storm = items(opened).filter(has_text="a storm")
    withheld = items(opened).filter(has_text="a broken")
    expect(storm).to_contain_text("memory")
    expect(withheld.get_by_role("button")).to_have_count(0)
    storm.get_by_role("button", name="Try again").click()
    opened.wait_for_pictures()
    expect(opened.root.get_by_role("heading", name="History")).to_be_hidden()


def test_arrows_go_from_task_to_task_and_escape_goes_back(opened: Dialog) -> None:
    first = items(opened).get_by_role("button").first
    first.focus()
    opened.page.keyboard.press("ArrowDown")
    assert opened.page.evaluate(FOCUSED_ITEM) == 2
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("ArrowUp")
    assert opened.page.evaluate(FOCUSED_ITEM) == 2
    opened.page.keyboard.press("Escape")
    expect(opened.action("History")).to_be_focused()
    expect(opened.root).to_be_visible()
    opened.page.keyboard.press("Enter")
    opened.action("Back to the pictures").click()
    expect(opened.action("History")).to_be_focused()


FOCUSED_ITEM = """() => {
    const item = document.querySelector("ai-image-dialog").shadowRoot.activeElement.closest("li");
    return [...item.parentElement.children].indexOf(item);
}"""


def test_who_has_asked_for_nothing_yet_is_told_what_will_be_here(open_page: OpenPage) -> None:
    dialog = open_history(open_page(ADD, user="newcomer"))
    expect(dialog.root.get_by_text("Nothing yet. Whatever you ask for is kept here.")).to_be_visible()
    expect(dialog.action("Clear search and filters")).to_be_hidden()
    dialog.root.get_by_text("Filters", exact=True).click()
    expect(dialog.root.get_by_label("Everybody's")).to_be_hidden()


def test_who_may_sees_everybodys_tasks_but_not_their_drafts(open_page: OpenPage) -> None:
    dialog = open_history(open_page(ADD, user="curator"))
    dialog.root.get_by_text("Filters", exact=True).click()
    dialog.root.get_by_label("Everybody's").check()
    dialog.root.get_by_role("searchbox").fill("fox in pencil")
    item = items(dialog).filter(has_text="Historian")
    expect(item).to_have_count(1)
    expect(item.get_by_role("button")).to_have_count(0)
    expect(item.locator("img")).to_have_count(1)  # the one that is in the library


def test_what_the_server_refuses_is_said(opened: Dialog) -> None:
    page = opened.page
    page.route("**/tasks/?*", lambda route: route.abort())
    opened.root.get_by_role("searchbox").fill("boat")
    expect(opened.root.locator("[data-part=history-problem]")).to_contain_text("The server does not answer.")
    page.unroute("**/tasks/?*")
    opened.root.get_by_role("searchbox").fill("boats")
    expect(status(opened)).to_have_text("Nothing found")
    expect(opened.root.locator("[data-part=history-problem]")).to_be_empty()


def test_on_a_phone_it_begins_at_the_top(open_page: OpenPage) -> None:
    page = open_page(ADD, user="historian", width=390, height=844)
    heading = open_history(page).root.get_by_role("heading", name="History")
    expect(heading).to_be_focused()
    page.wait_for_function(
        "heading => heading.getBoundingClientRect().top < innerHeight / 5", arg=heading.element_handle()
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_axe_finds_nothing_and_nothing_is_cut_off(open_page: OpenPage, scheme: str, width: int) -> None:
    page = open_page(ADD, user="historian", width=width, color_scheme=scheme)
    dialog = open_history(page)
    dialog.root.get_by_text("Filters", exact=True).click()
    assert violations(page) == []
    assert dialog.root.evaluate(
        "dialog => [...dialog.querySelectorAll('[data-part=history], [data-part=history] *:not(.visually-hidden)')]"
        ".filter(box => box.getClientRects().length && !box.closest('svg, .history-thumbs, .history-prompt'))"
        ".every(box => box.scrollWidth <= box.clientWidth + 1 || !box.clientWidth)"
    )
    dialog.root.get_by_role("searchbox").fill("nothing like it")
    expect(dialog.root.get_by_text("Nothing fits what you are looking for.")).to_be_visible()
    assert violations(page) == []
