"""django CMS: the button in a text on the page and in the structure board, the plugin, and what readers get.

Each walk is done on a site without and on one with djangocms-versioning.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from .conftest import ACTION_SECONDS, NOTE_POLICY_VIOLATIONS
from .dialog import Dialog
from .site import Site

PAGE = "/pages/"
EDITING = re.compile("/edit/")
FOREIGN_VIOLATION = "script-src-attr"
"""django CMS's own: its toolbar has an inline handler, which the site's policy stops without harm."""


@pytest.fixture(scope="module", params=["", "1"], ids=["plain", "versioning"])
def cms(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The example site with django CMS."""
    with Site(AI_IMAGES_SITE_CMS="1", CMS_VERSIONING=request.param) as site:
        yield site


@pytest.fixture
def is_versioned(cms: Site) -> bool:
    return cms.environment["CMS_VERSIONING"] == "1"


@pytest.fixture
def page(cms: Site, browser: Browser, is_versioned: bool) -> Iterator[Page]:
    """The page in edit mode, opened by an editor; with versioning a draft of it."""
    cookies = cms.log_in("editor", browser)
    context = browser.new_context(storage_state=cookies, base_url=cms.url, viewport={"width": 1280, "height": 860})
    context.set_default_timeout(ACTION_SECONDS * 1000)
    context.add_init_script(NOTE_POLICY_VIOLATIONS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(PAGE)
    toolbar(page).get_by_text("New Draft" if is_versioned else "Edit", exact=True).click()
    page.wait_for_url(EDITING)
    yield page
    context.close()
    assert errors == []


def toolbar(page: Page) -> Locator:
    return page.locator("#cms-top")


def modal(page: Page) -> FrameLocator:
    """The form of a plugin, which django CMS shows in a frame."""
    return page.frame_locator(".cms-modal-frame iframe")


def save_modal(page: Page) -> None:
    """Press its button, which stands outside of the frame, and wait until the page has been drawn anew."""
    with page.expect_response(lambda response: "/structure/" in response.url or "/edit/" in response.url):
        page.locator(".cms-modal-buttons").get_by_text("Save", exact=True).click()
    expect(page.locator(".cms-modal-frame iframe")).to_have_count(0)


def make(where: Page | FrameLocator, alt: str, button: str = "AI image") -> None:
    """Make one picture and insert it with this alternative text."""
    dialog = Dialog(where, button).open().generate(count=1).wait_for_pictures().use()  # type: ignore[arg-type]
    dialog.root.get_by_label("Alternative text").fill(alt)
    dialog.action("Insert").click()


@pytest.fixture
def readers(cms: Site, browser: Browser, is_versioned: bool) -> Iterator[Callable[[Page, str], Locator]]:
    """Publish, where that has to be done, and return the picture of that name as readers get it, decoded once."""
    context = browser.new_context(base_url=cms.url)

    def see(page: Page, alt: str) -> Locator:
        public = context.new_page()
        if is_versioned:
            public.goto(PAGE)
            expect(public.get_by_role("img", name=alt)).to_have_count(0)
            toolbar(page).get_by_text("Publish", exact=True).click()
            page.wait_for_url(lambda url: not EDITING.search(url))
        public.goto(PAGE)
        picture = public.get_by_role("img", name=alt)
        answer = public.request.get(str(picture.evaluate("picture => picture.src")))
        assert answer.status == 200
        Image.open(io.BytesIO(answer.body())).load()
        return picture

    yield see
    context.close()


def violations(page: Page) -> list[str]:
    """What broke the site's policy, apart from what is django CMS's own."""
    found: list[str] = page.evaluate("window.violations")
    return [violation for violation in found if not violation.startswith(FOREIGN_VIOLATION)]


def test_a_picture_in_a_text_that_is_edited_on_the_page(
    cms: Site, page: Page, readers: Callable[[Page, str], Locator]
) -> None:
    page.locator(".tiptap p").first.click()
    make(page, "A lighthouse on the page")
    expect(page.locator(".tiptap").get_by_role("img", name="A lighthouse on the page")).to_be_visible()
    assert violations(page) == []
    with page.expect_response(lambda response: "edit-plugin" in response.url and response.request.method == "POST"):
        page.locator("h1").click()  # the editor saves when it loses the focus
    readers(page, "A lighthouse on the page")
    origin = cms.query("SELECT origin_id, origin_field FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 1")
    texts = {str(key) for (key,) in cms.query("SELECT cmsplugin_ptr_id FROM djangocms_text_text")}
    assert origin[0][0] in texts
    assert origin[0][1] == "body"


def test_a_picture_in_a_text_that_is_edited_in_the_structure_board(
    page: Page, readers: Callable[[Page, str], Locator]
) -> None:
    open_structure(page)
    page.locator(".cms-dragitem", has_text="Text").first.dblclick()
    make(modal(page), "A lighthouse in the board")
    expect(modal(page).locator(".tiptap").get_by_role("img", name="A lighthouse in the board")).to_be_visible()
    save_modal(page)
    readers(page, "A lighthouse in the board")


def test_the_plugin_makes_a_picture_and_shows_it_in_several_sizes(
    cms: Site, page: Page, readers: Callable[[Page, str], Locator]
) -> None:
    add_plugin(page)
    form = modal(page)
    make(form, "A lighthouse of its own", button="Create with AI")
    expect(form.locator(".ai-image-field .thumbnail_img")).to_be_visible()
    form.get_by_role("textbox", name="Caption:").fill("The north mole")
    form.get_by_text("More", exact=True).click()
    form.get_by_role("textbox", name="Link:").fill("/articles/")
    save_modal(page)
    picture = readers(page, "A lighthouse of its own")
    expect(picture).to_have_attribute("srcset", re.compile(r" 320w, .* 512w$"))
    assert picture.evaluate("picture => [picture.width / picture.height, picture.naturalWidth > 0]") == [1, True]
    picture.page.set_viewport_size({"width": 390, "height": 800})
    assert picture.page.evaluate("document.documentElement.scrollWidth") == 390
    figure = picture.page.get_by_role("figure", name="The north mole")
    expect(figure.get_by_role("link", name="A lighthouse of its own")).to_have_attribute("href", "/articles/")


def test_the_plugin_takes_a_picture_of_the_library_and_asks_for_words(cms: Site, page: Page) -> None:
    key = cms.python(
        """
from django.core.files.base import ContentFile
from filer.models import Image
from project.demo.thumbnails import thumbnail
print(json.dumps(Image.objects.create(file=ContentFile(thumbnail("photo"), "harbour.png"), name="Harbour").pk))
"""
    )
    add_plugin(page)
    form = modal(page)
    # What filer's window does when somebody chooses there.
    form.locator("#id_picture").evaluate("(input, key) => { input.value = key; }", str(key))
    page.locator(".cms-modal-buttons").get_by_text("Save", exact=True).click()
    expect(form.get_by_text("Say what the picture shows, or mark it as decorative.")).to_be_visible()
    form.get_by_role("textbox", name="Alternative text:").fill("The harbour")
    save_modal(page)
    rows = cms.query("SELECT picture_id FROM cms_ai_images_djangocms_plugin_aiimage WHERE alt_text = 'The harbour'")
    assert rows == [(key,)]


def open_structure(page: Page) -> None:
    """Show the plugins of the page instead of what they draw."""
    page.goto(page.url.replace("/edit/", "/structure/"))


def add_plugin(page: Page) -> None:
    """Open the form of a new "AI image"."""
    open_structure(page)
    page.locator(".cms-submenu-add").first.click()
    page.locator(".cms-modal").get_by_text("AI image", exact=True).click()
