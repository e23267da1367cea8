"""From a click in the editor to a picture on the public page."""

from __future__ import annotations

import io
import re

from PIL import Image
from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .dialog import Dialog
from .site import Site


def change_page(article: int) -> str:
    return f"/admin/articles/article/{article}/change/"


def save(page: Page) -> None:
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()


def public_picture(page: Page, article: int) -> Image.Image:
    """The decoded bytes of the picture that readers see."""
    page.goto(f"/articles/article-{article}/")
    picture = page.get_by_role("img", name="A lighthouse on a cliff")
    answer = page.request.get(str(picture.evaluate("picture => picture.src")))
    assert answer.status == 200
    image = Image.open(io.BytesIO(answer.body()))
    image.load()
    return image


def test_a_picture_reaches_the_public_page_and_stays_when_its_file_moves(
    site: Site, open_page: OpenPage, article: int
) -> None:
    page = open_page(change_page(article))
    dialog = Dialog(page).open().generate().wait_for_pictures().use()
    dialog.root.get_by_role("radio", name="Picture alone").check()
    dialog.root.get_by_label("Alternative text").fill("A lighthouse on a cliff")
    dialog.action("Insert").click()
    inserted = page.locator(".tiptap").get_by_role("img", name="A lighthouse on a cliff")
    expect(inserted).to_be_visible()
    expect(dialog.root).to_be_hidden()
    assert page.evaluate("document.activeElement.closest('.tiptap') !== null"), "The focus returns to the editor."
    assert page.evaluate("window.violations") == []
    save(page)

    assert public_picture(page, article).size == (512, 512)
    before = page.get_by_role("img", name="A lighthouse on a cliff").get_attribute("src")
    site.python(
        """
from filer.models import Folder, Image
image = Image.objects.latest("id")
old = image.file.name
image.file = image.file.storage.save("elsewhere/renamed.png", image.file.open())
image.folder = Folder.objects.create(name="Elsewhere")
image.save()
image.file.storage.delete(old)
"""
    )
    assert public_picture(page, article).size == (512, 512)
    assert page.get_by_role("img", name="A lighthouse on a cliff").get_attribute("src") != before


def test_a_figure_survives_saving_twice_and_is_shown_to_readers(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    dialog.root.get_by_role("radio", name="With caption").check()
    dialog.root.get_by_role("radio", name="Left").check()
    dialog.root.get_by_label("Alternative text").fill("A lighthouse on a cliff")
    dialog.root.get_by_role("textbox", name="Caption").fill("<b>By day</b> & night")
    dialog.root.get_by_label("Credit line").fill("The <i>paper</i>")
    dialog.action("Insert").click()
    figure = page.locator(".tiptap figure.ai-image.align-left")
    expect(figure.locator("figcaption")).to_have_text("<b>By day</b> & night The <i>paper</i>")

    for extra in ("!", "?"):
        figure.locator("figcaption").click(position={"x": 3, "y": 5})
        page.keyboard.press("Home")
        page.keyboard.type(extra)
        save(page)
    page.goto(f"/articles/article-{article}/")
    figure = page.get_by_role("figure")
    expect(figure).to_have_class("ai-image align-left")
    expect(figure.get_by_role("img", name="A lighthouse on a cliff")).to_be_visible()
    expect(figure.locator("figcaption")).to_have_text("?!<b>By day</b> & night The <i>paper</i>")
    expect(figure.locator(".credit")).to_have_text("The <i>paper</i>")
    assert figure.locator("b, i").count() == 0, "A caption is text."
    assert figure.evaluate("figure => getComputedStyle(figure).float") == "inline-start"


def test_enter_in_a_caption_goes_on_below_the_figure(site: Site, open_page: OpenPage, article: int) -> None:
    picture = '<img src="/static/admin/img/icon-yes.svg" alt="">'
    body = f'<figure class="ai-image">{picture}<figcaption>By day</figcaption></figure>'
    site.execute("UPDATE articles_article SET body = ? WHERE id = ?", body, article)
    page = open_page(change_page(article))
    page.locator(".tiptap figcaption").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("Below.")
    expect(page.locator(".tiptap figure + p")).to_have_text("Below.")
    expect(page.locator(".tiptap figcaption")).to_have_text("By day")


def test_a_picture_alone_can_stand_at_a_side(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    dialog.root.get_by_role("radio", name="Picture alone").check()
    dialog.root.get_by_role("radio", name="Right").check()
    dialog.action("Insert").click()
    expect(page.locator(".tiptap > img.align-right")).to_be_visible()
    save(page)
    expect(page.locator(".tiptap > img.align-right[data-cms-src]")).to_be_visible()


def test_the_words_that_were_selected_stay_and_can_describe_the_picture(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    text = page.locator(".tiptap p").first
    text.click(click_count=3)
    dialog = Dialog(page).open()
    expect(dialog.prompt).to_have_value("")
    dialog.action("Use selected text").click()
    expect(dialog.prompt).to_have_value("Before the picture.")
    dialog.generate("a fox", count=1).wait_for_pictures().use().action("Insert").click()
    expect(page.locator(".tiptap img")).to_be_visible()
    expect(text).to_have_text("Before the picture.")


def test_the_articles_title_and_summary_can_describe_the_picture(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    page.get_by_label("Title").fill("  Storm over\u00a0the harbour ")
    page.get_by_label("Summary").fill("<p>Waves &amp; wind.</p>")
    for button in ("AI image", "Create with AI"):
        dialog = Dialog(page, button).open()
        dialog.action("Use the article's title and summary").click()
        expect(dialog.prompt).to_have_value("Storm over the harbour. Waves & wind.")
        page.keyboard.press("Escape")


def test_without_a_cursor_a_picture_goes_after_what_is_there(site: Site, open_page: OpenPage, article: int) -> None:
    body = '<img src="/static/admin/img/icon-yes.svg" alt="first"><p>Before the picture.</p>'
    site.execute("UPDATE articles_article SET body = ? WHERE id = ?", body, article)
    warnings: list[str] = []
    page = open_page(change_page(article))
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_count(2)
    expect(page.locator(".tiptap p + img")).to_have_attribute("data-cms-src", re.compile("filer.image"))
    assert not [text for text in warnings if "TextSelection" in text]


def test_a_decorative_picture_has_an_empty_alternative_text(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures().use()
    dialog.root.get_by_label("Decorative").check()
    expect(dialog.root.get_by_label("Alternative text")).to_be_disabled()
    dialog.action("Insert").click()
    expect(page.locator(".tiptap img")).to_have_attribute("alt", "")


def test_a_picture_fills_the_hero_image_field(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article))
    dialog = Dialog(page, "Create with AI").open().generate(count=1).wait_for_pictures().use()
    expect(dialog.root.get_by_label("Decorative")).to_be_hidden()
    dialog.root.get_by_label("Alternative text").fill("A lighthouse on a cliff")
    dialog.action("Insert").click()
    expect(page.locator(".ai-image-field .thumbnail_img")).to_be_visible()
    expect(page.get_by_role("button", name="Create with AI")).to_be_focused()
    save(page)
    assert public_picture(page, article).width > 0


def test_who_may_not_generate_is_told_so(open_page: OpenPage, article: int) -> None:
    page = open_page(change_page(article), user="reader")
    expect(page.get_by_role("button", name="Create with AI")).to_have_count(0)
    page.get_by_role("button", name="AI image", exact=True).click()
    dialog = page.get_by_role("dialog", name="AI image")
    expect(dialog).to_contain_text("Can generate AI images")
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_have_count(0)
