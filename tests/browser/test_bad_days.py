"""The dialog on bad days: each is said in plain words, where it belongs, and nothing that was written is lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import PROMPT, Dialog
from .site import Site

ANY_TEXT = (
    '<img src=x onerror="window.hacked = 1"> & \u201cquotes\u201d '
    "\U0001f98a\U0001f3f3\ufe0f\u200d\U0001f308 \u0645\u0631\u062d\u0628\u0627"
)


def change_page(article: int) -> str:
    return f"/admin/articles/article/{article}/change/"


@pytest.fixture
def page(open_page: OpenPage, article: int) -> Page:
    return open_page(change_page(article))


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_a_prompt_is_text_whatever_it_looks_like(site: Site, page: Page, article: int) -> None:
    dialog = Dialog(page).open().generate(ANY_TEXT, count=1).wait_for_pictures()
    assert site.query("SELECT request FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 1")
    dialog.use()
    expect(dialog.root.get_by_label("Alternative text")).to_have_value(ANY_TEXT)
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img[data-cms-src]")).to_have_attribute("alt", ANY_TEXT)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    page.goto(f"/articles/article-{article}/")
    expect(page.locator("img[alt*=onerror]")).to_have_attribute("alt", ANY_TEXT)
    assert page.evaluate("window.hacked") is None


def test_a_prompt_runs_from_right_to_left_where_its_language_does(page: Page) -> None:
    dialog = Dialog(page).open()
    dialog.prompt.fill("\u0645\u0646\u0627\u0631\u0629 \u0639\u0646\u062f \u0627\u0644\u0641\u062c\u0631")
    assert dialog.prompt.evaluate("box => getComputedStyle(box).direction") == "rtl"
    dialog.prompt.fill(PROMPT)
    assert dialog.prompt.evaluate("box => getComputedStyle(box).direction") == "ltr"


def test_a_prompt_as_long_as_can_be_is_drawn_and_a_longer_one_is_kept(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate("\U0001f98a" * 2000, count=1).wait_for_pictures()
    before = site.count_tasks()
    novel = "word " * 20_000
    dialog.prompt.fill(novel)
    expect(dialog.root.get_by_text("99999 of 2000 characters.")).to_be_visible()
    dialog.action("Generate").click()
    expect(dialog.prompt).to_have_accessible_description(re.compile("at most 2000 are possible"))
    expect(dialog.prompt).to_have_value(novel)
    expect(dialog.pictures).to_have_count(1)  # what was there before
    assert site.count_tasks() == before
    assert violations(page) == []


# -- what the server says ----------------------------------------------------------------------------------------------


def test_a_limit_says_when_it_lifts(site: Site, page: Page) -> None:
    before = site.count_tasks()
    problem = {"status": 429, "code": "rate_limited", "detail": "You have asked for many pictures.", "errors": []}
    headers = {"Retry-After": "90", "Content-Type": "application/problem+json"}
    page.clock.install(time="2026-05-04T15:00:00")
    dialog = Dialog(page).open()
    page.route("**/api/v1/tasks/", lambda route: route.fulfill(status=429, headers=headers, json=problem))
    dialog.prompt.fill(PROMPT)
    dialog.action("Generate").click()
    expect(dialog.alert).to_contain_text("You have asked for many pictures. You can try again at 3:0")
    expect(dialog.prompt).to_have_value(PROMPT)
    assert site.count_tasks() == before
    page.clock.run_for(91_000)
    expect(dialog.alert).to_be_empty()
    page.unroute("**/api/v1/tasks/")
    dialog.action("Generate").click()
    dialog.wait_for_pictures()


def test_a_failed_round_gives_the_earlier_pictures_back(page: Page) -> None:
    dialog = Dialog(page).open().generate().wait_for_pictures()
    dialog.pictures.nth(1).check()
    dialog.generate(model="Broken model", count=1)
    expect(dialog.alert).to_contain_text("An administrator must mend it")
    expect(dialog.pictures).to_have_count(2)
    expect(dialog.pictures.nth(1)).to_be_checked()
    expect(dialog.root).to_have_attribute("data-state", "choosing")

    dialog.use()
    dialog.root.get_by_label("Alternative text").fill("My own words")
    dialog.generate(model="Endless model", count=1)
    expect(dialog.root).to_have_attribute("data-state", "generating")
    page.wait_for_function("() => new Promise((done) => setTimeout(done, 600))")  # a double click cancels nothing
    dialog.action("Cancel").click()
    expect(dialog.root).to_have_attribute("data-state", "reviewing")
    expect(dialog.root.get_by_label("Alternative text")).to_have_value("My own words")


def test_a_storage_that_is_down_loses_neither_picture_nor_words(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    dialog.root.get_by_label("Alternative text").fill("My own words")
    media, aside = site.folder / "media", site.folder / "media-aside"
    media.rename(aside)
    media.write_text("a file where the folder was")
    try:
        dialog.action("Insert").click()
        expect(dialog.alert).to_contain_text("The picture store does not answer. Nothing is lost")
        expect(dialog.root.get_by_label("Alternative text")).to_have_value("My own words")
        expect(dialog.root).to_have_attribute("data-state", "reviewing")
        assert violations(page) == []
    finally:
        media.unlink()
        aside.rename(media)
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_attribute("alt", "My own words")


def test_a_lost_connection_is_said_and_the_task_goes_on(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().advanced()
    dialog.form.get_by_label("Steps").fill("20")  # ten seconds, longer than the web server is away
    dialog.generate(model="Endless model", count=1)
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    site.stop_web()
    try:
        expect(dialog.root.get_by_text("Connection lost, trying again.", exact=False).first).to_be_visible()
    finally:
        site.start_web()
    expect(dialog.root.get_by_text("Connection lost", exact=False)).to_have_count(0, timeout=30_000)
    dialog.wait_for_pictures()
    expect(dialog.pictures).to_have_count(1)


def test_two_dialogs_at_once_keep_their_own_pictures(site: Site, open_page: OpenPage, page: Page, article: int) -> None:
    before = site.count_tasks()
    other_page = open_page(change_page(article))
    dialog, other = Dialog(page).open(), Dialog(other_page).open()
    dialog.generate("a red kite", count=1)
    other.generate("a blue boat", count=1)
    for each, each_page, words in [(dialog, page, "a red kite"), (other, other_page, "a blue boat")]:
        each.wait_for_pictures().use()
        expect(each.root.get_by_label("Alternative text")).to_have_value(words)
        each.action("Insert").click()
        expect(each_page.locator(".tiptap img")).to_have_attribute("alt", words)
    assert site.count_tasks() == before + 2


def test_one_picture_inserted_from_two_tabs_is_one_file(
    site: Site, open_page: OpenPage, page: Page, article: int
) -> None:
    dialog = Dialog(page).open().generate("a red kite", count=1).wait_for_pictures()
    other_page = open_page(change_page(article))
    other = Dialog(other_page).open().wait_for_pictures()
    sources = []
    for each, each_page in [(dialog, page), (other, other_page)]:
        each.use().action("Insert").click()
        expect(each_page.locator(".tiptap img")).to_have_attribute("alt", "a red kite")
        sources.append(each_page.locator(".tiptap img").get_attribute("data-cms-src"))
    assert sources[0] == sources[1] != ""


def test_what_the_server_refuses_is_shown_at_its_field(page: Page) -> None:
    dialog = Dialog(page).open().generate("word " * 500)
    expect(dialog.prompt).to_have_attribute("aria-invalid", "true")
    expect(dialog.root.get_by_text("at most 2000 are possible")).to_be_visible()
    expect(dialog.prompt).to_have_value("word " * 500)


def test_a_double_click_makes_one_task(site: Site, page: Page) -> None:
    before = site.count_tasks()
    dialog = Dialog(page).open()
    dialog.prompt.fill(PROMPT)
    dialog.action("Generate").dblclick()
    dialog.wait_for_pictures()
    assert site.count_tasks() == before + 1


def test_a_failure_says_what_to_do_and_can_be_repeated_where_that_may_help(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(model="Broken model")
    expect(dialog.alert).to_contain_text("An administrator must mend it")
    expect(dialog.prompt).to_have_value(PROMPT)
    expect(dialog.action("Try again")).to_be_hidden()

    site.execute("UPDATE cms_ai_images_generationtask SET error_code = 'generation_failed' WHERE status = 'failed'")
    page.reload()
    dialog.open()
    expect(dialog.action("Try again")).to_be_visible()
    expect(dialog.alert).not_to_be_empty()
    dialog.action("Try again").click()
    expect(dialog.alert).to_contain_text("An administrator must mend it")


def test_after_reopening_nothing_is_left_of_a_failure_that_was_told(site: Site, page: Page) -> None:
    Dialog(page).open().generate(model="Broken model").alert.get_by_text("An administrator").wait_for()
    site.execute("UPDATE cms_ai_images_generationtask SET error_code = 'generation_failed' WHERE status = 'failed'")
    page.reload()
    dialog = Dialog(page).open()
    expect(dialog.action("Try again")).to_be_visible()
    page.keyboard.press("Escape")
    dialog.open()
    expect(dialog.action("Try again")).to_be_hidden()
    expect(dialog.alert).to_be_empty()
    expect(dialog.prompt).to_have_value(PROMPT)


def test_pictures_that_are_ready_are_shown_beside_a_later_failure(page: Page) -> None:
    dialog = Dialog(page).open().generate().wait_for_pictures()
    dialog.generate("another one", model="Broken model").alert.get_by_text("An administrator").wait_for()
    page.reload()
    dialog.open()
    expect(dialog.pictures).to_have_count(2)
    expect(dialog.alert).to_contain_text("An administrator")
    expect(dialog.prompt).to_have_value("another one")

    dialog.action("History").click()
    dialog.root.get_by_role("button", name=PROMPT).first.click()
    expect(dialog.pictures.first).to_be_focused()
    expect(dialog.alert).to_be_empty()  # what it said was about the other one


def test_without_a_worker_it_says_so_before_anything_is_queued(site: Site, page: Page) -> None:
    before = site.count_tasks()
    site.stop_worker()
    try:
        dialog = Dialog(page).open()
        expect(dialog.root.get_by_role("status").first).to_contain_text("No worker")
        dialog.prompt.fill(PROMPT)
        dialog.action("Generate").click()
        expect(dialog.alert).to_contain_text("Your text is kept")
        expect(dialog.alert).to_contain_text("This message goes as soon as it would work again.")
        expect(dialog.alert).not_to_contain_text("You can try again at")  # nobody knows when
        expect(dialog.prompt).to_have_value(PROMPT)
        assert site.count_tasks() == before
    finally:
        site.start_worker()


def test_an_alert_goes_when_the_worker_is_back(site: Site, page: Page) -> None:
    page.clock.install()
    site.execute("UPDATE cms_ai_images_worker SET pool = 'elsewhere'")
    try:
        dialog = Dialog(page).open()
        expect(dialog.root.get_by_text("No worker is running, so")).to_have_count(1)
        dialog.prompt.fill(PROMPT)
        dialog.action("Generate").click()
        expect(dialog.alert).to_contain_text("No worker is running, so")
        expect(dialog.root.get_by_text("No worker is running, so")).to_have_count(1)
        with page.expect_response("**/health/**"):
            page.clock.run_for(16_000)
        expect(dialog.alert).to_contain_text("No worker is running, so")  # as long as it is true
    finally:
        site.execute("UPDATE cms_ai_images_worker SET pool = 'images'")
    page.clock.run_for(16_000)
    expect(dialog.root.get_by_text("No worker is running, so")).to_have_count(0)


def test_that_no_model_is_set_up_is_said_once(site: Site, page: Page) -> None:
    site.execute("UPDATE cms_ai_images_generationmodel SET enabled = false")
    try:
        dialog = Dialog(page).open()
        expect(dialog.root.get_by_text("No model is set up yet")).to_have_count(1)
        dialog.prompt.fill(PROMPT)
        dialog.action("Generate").click()
        expect(dialog.alert).to_contain_text("No model is set up yet")
        expect(dialog.root.get_by_text("No model is set up yet")).to_have_count(1)
    finally:
        site.execute("UPDATE cms_ai_images_generationmodel SET enabled = true")


def test_a_style_that_was_withdrawn_is_named_at_the_styles(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    dialog.prompt.fill(PROMPT)
    dialog.root.get_by_role("radio", name="Photo", exact=True).check()
    site.execute("UPDATE cms_ai_images_stylepreset SET published = false WHERE slug = 'photo'")
    try:
        dialog.action("Generate").click()
        styles = dialog.root.get_by_role("group", name="Style")
        expect(styles).to_have_accessible_description("This style is no longer available. Please choose another one.")
        expect(dialog.root.get_by_role("radio", name="Photo", exact=True)).to_be_focused()
        expect(dialog.prompt).to_have_value(PROMPT)
        assert violations(page) == []
    finally:
        site.execute("UPDATE cms_ai_images_stylepreset SET published = true WHERE slug = 'photo'")


def test_an_article_that_was_deleted_meanwhile_is_said_to_be_gone(site: Site, page: Page, article: int) -> None:
    dialog = Dialog(page).open()
    site.execute("DELETE FROM articles_article WHERE id = ?", article)
    dialog.prompt.fill(PROMPT)
    dialog.action("Generate").click()
    expect(dialog.alert).to_contain_text("no longer exists")
    expect(dialog.prompt).to_have_value(PROMPT)


def test_after_an_ended_session_one_logs_in_in_another_tab_and_goes_on(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    page.context.clear_cookies()
    dialog.prompt.fill(PROMPT)
    dialog.action("Generate").click()
    expect(dialog.alert).to_contain_text("Your session has ended")
    expect(dialog.prompt).to_have_value(PROMPT)
    assert violations(page) == []
    with page.context.expect_page() as opened:
        dialog.alert.get_by_role("link", name="Log in again").click()
    tab = opened.value
    tab.get_by_label("Username").fill("editor")
    tab.get_by_label("Password").fill("editor")
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url("**/change/")
    tab.close()
    page.bring_to_front()
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")  # windows without a head never lose it
    expect(dialog.alert).to_be_empty()
    expect(dialog.prompt).to_have_value(PROMPT)
    dialog.action("Generate").click()
    dialog.wait_for_pictures()


def test_a_server_that_is_away_keeps_the_text(page: Page) -> None:
    dialog = Dialog(page).open()
    page.route("**/api/v1/tasks/", lambda route: route.abort())
    dialog.prompt.fill(PROMPT)
    dialog.action("Generate").click()
    expect(dialog.alert).to_contain_text("The server does not answer")
    expect(dialog.prompt).to_have_value(PROMPT)
    page.unroute("**/api/v1/tasks/")
    dialog.action("Generate").click()
    dialog.wait_for_pictures()


def test_a_request_whose_answer_was_lost_is_made_once(site: Site, page: Page) -> None:
    before = site.count_tasks()
    dialog = Dialog(page).open()

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1/tasks/", lose)
    dialog.generate(count=1)
    expect(dialog.alert).to_contain_text("The server does not answer")
    assert site.count_tasks() == before + 1
    page.unroute("**/api/v1/tasks/")
    dialog.action("Generate").click()
    dialog.wait_for_pictures()
    assert site.count_tasks() == before + 1
    dialog.action("Generate").click()  # the same words again, and this time others are wanted
    expect(dialog.action("Use")).to_be_hidden()
    dialog.wait_for_pictures()
    assert site.count_tasks() == before + 2


def test_to_cancel_what_has_just_got_ready_is_no_error(page: Page) -> None:
    page.route("**/events/", lambda route: route.abort())
    page.route("**/?previews=1", lambda route: route.abort())  # the dialog hears nothing of the end
    dialog = Dialog(page).open()
    with page.expect_response(
        lambda response: response.request.method == "POST" and "/tasks/" in response.url
    ) as asked:
        dialog.generate(count=1)
    url = asked.value.json()["url"]
    page.wait_for_function("async (url) => (await (await fetch(url)).json()).status === 'succeeded'", arg=url)
    page.unroute("**/?previews=1")
    page.wait_for_timeout(600)  # a double click cancels nothing
    dialog.action("Cancel").click()
    expect(dialog.pictures).to_have_count(1)
    expect(dialog.alert).to_be_empty()
