"""Before a picture enters the article: what it is called, what it shows, where its middle is, where it is put."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import PROMPT, Dialog
from .site import Site

HTML = '<img src=x onerror="alert(1)"> & <b>bold</b>'
NEWEST = "SELECT %s FROM filer_image JOIN filer_file ON filer_file.id = file_ptr_id ORDER BY filer_file.id DESC LIMIT 1"


@pytest.fixture
def page(open_page: OpenPage, article: int) -> Page:
    return open_page(f"/admin/articles/article/{article}/change/")


def form(dialog: Dialog) -> Locator:
    """What is asked before a picture goes into the text."""
    return dialog.root.get_by_role("form", name="Before it goes into the text")


def field(dialog: Dialog, name: str) -> Locator:
    return form(dialog).get_by_label(name, exact=True)


def newest(site: Site, *columns: str) -> tuple[Any, ...]:
    """Columns of the file that entered the library last."""
    return site.query(NEWEST % ", ".join(columns))[0]


def test_what_is_proposed_is_marked_until_it_is_edited_and_kept_for_each_picture(page: Page) -> None:
    dialog = Dialog(page).open().generate().wait_for_pictures().use()
    alt, name = field(dialog, "Alternative text"), field(dialog, "File name")
    expect(alt).to_be_focused()
    for proposed in (alt, name):
        expect(proposed).to_have_value(PROMPT)
        expect(proposed).to_have_accessible_description(re.compile("Proposed from your description"))
    alt.fill("A lighthouse in fog")
    expect(alt).not_to_have_accessible_description(re.compile("Proposed"))
    expect(name).to_have_accessible_description(re.compile("Proposed"))
    field(dialog, "Caption").fill("Dawn")
    dialog.action("Back").click()
    expect(dialog.pictures.first).to_be_focused()
    dialog.pictures.nth(1).check()
    dialog.use()
    expect(alt).to_have_value(PROMPT)
    expect(field(dialog, "Caption")).to_have_value("")
    dialog.action("Back").click()
    dialog.pictures.first.check()
    dialog.use()
    expect(alt).to_have_value("A lighthouse in fog")
    expect(field(dialog, "Caption")).to_have_value("Dawn")


def test_decoration_is_an_explicit_choice(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    alt = field(dialog, "Alternative text")
    alt.fill(" ")
    dialog.action("Insert").click()
    expect(alt).to_have_attribute("aria-invalid", "true")
    expect(alt).to_have_accessible_description(re.compile("or mark it as decorative"))
    expect(alt).to_be_focused()
    assert violations(page) == []
    dialog.root.get_by_role("checkbox", name=re.compile("Decorative")).check()
    expect(alt).to_be_disabled()
    expect(alt).not_to_have_attribute("aria-invalid", "true")
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_attribute("alt", "")
    assert newest(site, "default_alt_text") == ("",)


def test_what_was_written_reaches_the_library_as_text(site: Site, page: Page) -> None:
    folder = site.python("from filer.models import Folder; print(json.dumps(Folder.objects.create(name='Reports').pk))")
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    field(dialog, "Alternative text").fill(HTML)
    field(dialog, "Caption").fill(f"Caption\n{HTML}")
    field(dialog, "Credit line").fill("Ada & Bob \N{FOX FACE}")
    field(dialog, "File name").fill("مَنارة")
    field(dialog, "Folder").select_option(label="Reports")
    dialog.root.get_by_role("img", name="The chosen picture").click(position={"x": 20, "y": 20})
    dialog.action("Add to library only").click()
    expect(dialog.root.get_by_text("Added to the media library.").first).to_be_visible()
    columns = ["default_alt_text", "default_caption", "author", "name", "folder_id", "subject_location"]
    *words, location = newest(site, *columns)
    assert words == [HTML, f"Caption {HTML}", "Ada & Bob \N{FOX FACE}", "مَنارة", folder]
    assert all(0 < int(part) < 80 for part in location.split(",")), location
    expect(page.locator(".tiptap img")).to_have_count(0)
    expect(dialog.root.get_by_text("In the library")).to_be_visible()
    assert page.evaluate("window.violations") == []

    # Looked at again, it is what is in the library, and inserting it makes no second file.
    files = site.query("SELECT count(*) FROM filer_image")
    dialog.use()
    expect(field(dialog, "Caption")).to_have_value(f"Caption\n{HTML}")
    field(dialog, "Caption").fill("Another caption")
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_attribute("alt", HTML)
    assert newest(site, "default_caption", "subject_location") == ("Another caption", location)
    assert site.query("SELECT count(*) FROM filer_image") == files


def test_the_file_is_called_what_its_author_calls_it(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    name = field(dialog, "File name")
    expect(name).to_have_accessible_description(re.compile("in the picture's address"))
    name.fill("Kap Arkona")
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_attribute("src", re.compile("/kap-arkona-[^/]+$"))
    file, original = newest(site, "file", "original_filename")
    assert "lighthouse" not in f"{file} {original}"


def test_the_focal_point_is_set_by_arrow_keys_and_told_in_two_values(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    across = field(dialog, "Focal point, from the left")
    down = field(dialog, "Focal point, from the top")
    expect(dialog.root.get_by_text("In the centre")).to_be_visible()
    across.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(across).to_have_value("39")
    expect(down).to_have_value("59")
    expect(across).to_have_attribute("aria-valuetext", "39 % from the left")
    expect(down).to_have_attribute("aria-valuetext", "59 % from the top")
    expect(dialog.root.get_by_text("39 % from the left, 59 % from the top")).to_be_visible()
    assert violations(page) == []
    dialog.action("Reset to centre").click()
    expect(across).to_have_value("50")
    expect(across).to_be_focused()
    expect(dialog.action("Reset to centre")).to_be_hidden()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    expect(down).to_have_value("0")
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_count(1)
    x, y = map(int, newest(site, "subject_location")[0].split(","))
    assert 250 <= x <= 262
    assert y == 0


def test_what_is_in_the_library_is_looked_at_as_the_library_has_it(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate().wait_for_pictures().use()
    field(dialog, "Credit line").fill("Ada")
    dialog.root.get_by_role("checkbox", name=re.compile("Decorative")).check()
    field(dialog, "Focal point, from the top").press("Shift+ArrowUp")
    dialog.action("Add to library only").click()
    dialog.root.get_by_text("In the library").wait_for()
    page.reload()
    dialog.open().action("History").click()
    dialog.root.get_by_role("region", name="History").get_by_role("button", name=PROMPT).first.click()
    dialog.use()
    expect(field(dialog, "Credit line")).to_have_value("Ada")
    expect(dialog.root.get_by_role("checkbox", name=re.compile("Decorative"))).to_be_checked()
    expect(field(dialog, "Focal point, from the top")).to_have_value("40")
    expect(field(dialog, "File name")).not_to_have_accessible_description(re.compile("Proposed"))


def test_the_focal_point_is_dragged_by_a_mouse_and_tapped_by_a_finger(open_page: OpenPage, article: int) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/", has_touch=True)
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    picture = dialog.root.get_by_role("img", name="The chosen picture")
    box = picture.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] * 2)  # not past its edge
    page.mouse.up()
    expect(dialog.root.get_by_text("25 % from the left, 100 % from the top")).to_be_visible()
    picture.tap(position={"x": box["width"] * 3 / 4, "y": box["height"] / 4})
    expect(dialog.root.get_by_text("75 % from the left, 25 % from the top")).to_be_visible()


OPEN = """async ({ url, capabilities }) => {
    const { openAIImageDialog } = await import("/static/cms_ai_images/dialog.js");
    openAIImageDialog({ dialogUrl: url, capabilities }).then((image) => (window.accepted = image));
}"""


def open_with(page: Page, **capabilities: bool) -> Dialog:
    """The dialog as an editor opens it that can do this; what it resolves with is `window.accepted`."""
    url = page.evaluate("window.CMS_Editor._global_settings.ai_images_dialog_url")
    page.evaluate(OPEN, {"url": url, "capabilities": capabilities})
    dialog = Dialog(page)
    dialog.root.get_by_role("group", name="Style").wait_for()
    return dialog


def resolved(page: Page) -> dict[str, Any]:
    """What the dialog resolved with, which an editor learns a moment after it is hidden."""
    return page.wait_for_function("window.accepted").json_value()


def test_alignment_and_figure_are_offered_where_the_editor_can(page: Page) -> None:
    dialog = open_with(page, figure=True, align=True).generate(count=1).wait_for_pictures().use()
    alignment = dialog.root.get_by_role("group", name="Alignment")
    kind = dialog.root.get_by_role("group", name="In the text")
    expect(alignment.get_by_role("radio", name="None")).to_be_checked()
    expect(kind.get_by_role("radio", name="Picture alone")).to_be_checked()
    assert violations(page) == []
    field(dialog, "Caption").fill("Dawn")  # a caption needs a figure
    expect(kind.get_by_role("radio", name="With caption")).to_be_checked()
    alignment.get_by_role("radio", name="Right").check()
    field(dialog, "Credit line").fill("Ada")
    dialog.action("Insert").click()
    expect(dialog.root).to_be_hidden()
    accepted = resolved(page)
    words = {name: accepted[name] for name in ("alt", "caption", "credit", "as_figure", "alignment")}
    assert words == {"alt": PROMPT, "caption": "Dawn", "credit": "Ada", "as_figure": True, "alignment": "right"}


def test_where_the_editor_can_neither_they_are_not_offered(page: Page) -> None:
    dialog = open_with(page).generate(count=1).wait_for_pictures().use()
    expect(dialog.root.get_by_role("group", name="Alignment")).to_be_hidden()
    expect(dialog.root.get_by_role("group", name="In the text")).to_be_hidden()
    field(dialog, "Caption").fill("Dawn")
    dialog.action("Insert").click()
    expect(dialog.root).to_be_hidden()
    accepted = resolved(page)
    assert (accepted["as_figure"], accepted["alignment"]) == (False, "")


def test_a_caption_can_be_kept_out_of_the_text(page: Page) -> None:
    dialog = open_with(page, figure=True).generate(count=1).wait_for_pictures().use()
    field(dialog, "Caption").fill("Dawn")
    dialog.root.get_by_role("radio", name="Picture alone").check()
    field(dialog, "Caption").fill("Dawn at sea")
    dialog.action("Insert").click()
    expect(dialog.root).to_be_hidden()
    assert resolved(page)["as_figure"] is False


def test_escape_closes_the_topmost_thing_only(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    page.keyboard.press("Escape")
    expect(dialog.action("Insert")).to_be_hidden()
    expect(dialog.pictures).to_be_focused()
    page.keyboard.press("Enter")
    view = dialog.root.get_by_role("dialog", name="Large view")
    expect(view).to_be_visible()
    page.keyboard.press("Escape")
    expect(view).to_be_hidden()
    expect(dialog.root).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog.root).to_be_hidden()


def test_a_picture_on_its_way_into_the_text_is_not_left(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    held: list[Route] = []
    page.route("**/accept/", lambda route: held.append(route))
    with page.expect_request("**/accept/"):
        dialog.action("Insert").click()
    page.keyboard.press("Escape")
    dialog.action("Back").click(force=True)  # which says that it is disabled
    expect(dialog.root).to_have_attribute("data-state", "reviewing")
    held[0].continue_()
    expect(page.locator(".tiptap img")).to_have_count(1)
    expect(dialog.root).to_be_hidden()


def test_a_picture_on_its_way_gets_into_the_text_when_the_dialog_is_closed_meanwhile(page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    held: list[Route] = []
    page.route("**/accept/", lambda route: held.append(route))
    with page.expect_request("**/accept/"):
        dialog.action("Insert").click()
    dialog.action("Close").click()
    expect(dialog.root).to_be_hidden()
    held[0].continue_()
    expect(page.locator(".tiptap img")).to_have_count(1)
    dialog.open()
    expect(dialog.root).to_have_attribute("data-state", "idle")


def test_what_the_server_refuses_is_said_at_its_field(site: Site, page: Page) -> None:
    folder = site.python("from filer.models import Folder; print(json.dumps(Folder.objects.create(name='Brief').pk))")
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    field(dialog, "Folder").select_option(label="Brief")
    site.execute("DELETE FROM filer_folder WHERE id = ?", folder)
    dialog.action("Insert").click()
    expect(field(dialog, "Folder")).to_have_accessible_description(re.compile("This folder no longer exists"))
    expect(field(dialog, "Folder")).to_be_focused()
    expect(dialog.alert).to_be_empty()
    field(dialog, "Folder").select_option(index=0)
    expect(field(dialog, "Folder")).not_to_have_attribute("aria-invalid", "true")
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_count(1)


def test_a_picture_that_went_meanwhile_is_said_to_be_gone_and_the_others_can_be_chosen(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate().wait_for_pictures().use()
    key = site.query("SELECT max(id) - 1 FROM cms_ai_images_generatedimage")[0][0]
    site.execute("UPDATE cms_ai_images_generatedimage SET review_state = 'purged', file = '' WHERE id = ?", key)
    dialog.action("Insert").click()
    expect(dialog.alert).to_contain_text("was discarded or has expired")
    expect(dialog.root.get_by_text("This picture is gone.")).to_be_visible()
    expect(dialog.pictures).to_have_count(1)
    expect(dialog.pictures).to_be_checked()
    expect(page.locator(".tiptap img")).to_have_count(0)
    dialog.use().action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_count(1)


def test_without_a_list_of_folders_it_goes_to_the_usual_one(page: Page) -> None:
    page.route("**/api/v1/folders/", lambda route: route.abort())
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    expect(field(dialog, "Folder")).to_have_accessible_description(re.compile("cannot be listed just now"))
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_small_screen_nothing_is_cut_off(open_page: OpenPage, article: int, scheme: str) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/", width=320, height=640, color_scheme=scheme)
    dialog = open_with(page, figure=True, align=True).generate(count=1).wait_for_pictures().use()
    assert violations(page) == []
    for control in form(dialog).locator("label, textarea").all():
        if control.is_visible():
            control.scroll_into_view_if_needed()
            expect(control).to_be_in_viewport(ratio=0.95)
    expect(dialog.action("Insert")).to_be_in_viewport(ratio=1)
    assert dialog.root.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
