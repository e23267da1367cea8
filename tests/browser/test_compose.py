"""What an author can choose before asking, what is remembered of it, and what leads from a picture back to the form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import PROMPT, Dialog
from .site import Site, wait_until


def change_page(article: int) -> str:
    return f"/admin/articles/article/{article}/change/"


@pytest.fixture
def page(open_page: OpenPage, article: int) -> Page:
    return open_page(change_page(article))


@pytest.fixture
def strict_style(site: Site) -> Iterator[str]:
    """The name of a style that locks model, size, steps and what to leave out, and sets the guidance without a lock."""
    site.python(
        """
from cms_ai_images.models import GenerationModel, StylePreset
from cms_ai_images.presets import publish_version
preset = StylePreset.objects.create(slug="house-style", name="House style", position=0, published=True)
publish_version(preset, {
    "prompt_template": "{prompt}, house style",
    "model": GenerationModel.objects.get(slug="slow"),
    "parameters": {
        "steps": 7, "width": 768, "height": 512, "guidance_scale": 3.5, "negative_prompt": "people",
    },
    "locked": ["model", "width", "height", "steps", "negative_prompt"],
})"""
    )
    yield "House style"
    site.python('from cms_ai_images.models import StylePreset; StylePreset.objects.get(slug="house-style").delete()')


def style(dialog: Dialog, name: str) -> Locator:
    return dialog.form.get_by_role("group", name="Style").get_by_role("radio", name=name, exact=True)


def shape(dialog: Dialog, name: str) -> Locator:
    return dialog.form.get_by_role("group", name="Shape").get_by_role("radio", name=re.compile(rf"^{name}\b"))


def last_task(site: Site) -> dict[str, Any]:
    """The request and the parameters of the newest task."""
    ((request, parameters),) = site.query(
        "SELECT request, parameters FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 1"
    )
    return {"request": json.loads(request), "parameters": json.loads(parameters)}


def remembered(site: Site) -> dict[str, Any]:
    """What is remembered of the only author's last settings."""
    rows = site.query("SELECT last FROM cms_ai_images_userpreference")
    return dict(json.loads(rows[0][0])) if rows else {}


# -- styles ------------------------------------------------------------------------------------------------------------


def test_four_styles_are_shown_and_the_rest_on_demand(page: Page) -> None:
    dialog = Dialog(page).open()
    styles = dialog.form.get_by_role("group", name="Style").get_by_role("radio")
    expect(styles.first).to_have_accessible_name("None")
    expect(styles.locator("visible=true")).to_have_count(4)
    expect(style(dialog, "None")).to_be_checked()
    dialog.action("Show all 6").click()
    expect(styles.locator("visible=true")).to_have_count(7)
    style(dialog, "Sepia").check()
    assert violations(page) == []
    dialog.action("Show fewer").click()
    expect(styles.locator("visible=true")).to_have_count(4)
    expect(style(dialog, "Sepia")).to_be_visible()


def test_favourite_styles_come_first_the_next_time(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    dialog.action("Show all 6").click()
    star = dialog.root.get_by_role("button", name="Favourite: Oil painting")
    expect(star).to_have_attribute("aria-pressed", "false")
    star.focus()
    with page.expect_response("**/preferences/"):
        page.keyboard.press("Space")
    expect(star).to_have_attribute("aria-pressed", "true")
    page.reload()
    dialog.open()
    cards = dialog.form.get_by_role("group", name="Style").locator(".card")
    expect(cards.nth(1)).to_have_text("Oil painting")
    expect(star).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/preferences/"):
        star.click()
    assert site.query("SELECT * FROM cms_ai_images_userpreference_favourite_presets") == []


def test_what_a_style_locks_is_shown_and_left_alone(site: Site, strict_style: str, page: Page) -> None:
    dialog = Dialog(page).open().advanced()
    steps, leave_out = dialog.form.get_by_label("Steps"), dialog.form.get_by_label("Leave out")
    steps.fill("5")
    leave_out.fill("boats")
    style(dialog, strict_style).check()
    for control, value in [(steps, "7"), (leave_out, "people"), (dialog.model, "slow")]:
        expect(control).to_be_disabled()
        expect(control).to_have_value(value)
        expect(control).to_have_accessible_description(re.compile("Set by the style"))
    expect(shape(dialog, "3:2")).to_be_checked()
    expect(shape(dialog, "3:2")).to_be_disabled()
    expect(dialog.form.get_by_role("group", name="Shape")).to_contain_text("Set by the style")
    expect(dialog.form.get_by_label("Guidance")).to_have_attribute("placeholder", "3.5")
    assert violations(page) == []
    dialog.prompt.fill(PROMPT)
    dialog.action("Generate").click()
    dialog.wait_for_pictures()
    task = last_task(site)
    assert task["request"]["steps"] is task["request"]["width"] is task["request"]["negative_prompt"] is None
    assert (task["parameters"]["steps"], task["parameters"]["width"]) == (7, 768)
    style(dialog, "None").check()
    expect(steps).to_be_enabled()
    expect(steps).to_have_value("5")
    expect(leave_out).to_have_value("boats")
    expect(shape(dialog, "Auto")).to_be_checked()


# -- shape and advanced ------------------------------------------------------------------------------------------------


def test_shape_and_parameters_reach_the_task(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().advanced()
    expect(shape(dialog, "Auto")).to_be_checked()
    shape(dialog, "2:3").check()
    dialog.form.get_by_label("Steps").fill("3")
    dialog.form.get_by_label("Guidance").fill("2.5")
    dialog.form.get_by_label("Leave out").fill("people")
    dialog.form.get_by_label("File format").select_option(label="WebP")
    dialog.seed.fill("41")
    expect(dialog.root.get_by_text("5 changed")).to_be_visible()
    dialog.generate(model="Quick model", count=1).wait_for_pictures()
    parameters = last_task(site)["parameters"]
    wanted = {
        "width": 512,
        "height": 768,
        "steps": 3,
        "guidance_scale": 2.5,
        "negative_prompt": "people",
        "seed": 41,
        "output_format": "webp",
        "num_images": 1,
    }
    assert {name: parameters[name] for name in wanted} == wanted
    dialog.action("Back to the usual settings").click()
    expect(dialog.seed).to_have_value("")
    expect(dialog.form.get_by_label("Steps")).to_have_value("")
    expect(dialog.root.get_by_text("changed")).to_be_hidden()


def test_auto_leaves_the_size_to_the_model(site: Site, page: Page) -> None:
    Dialog(page).open().generate(count=1).wait_for_pictures()
    task = last_task(site)
    assert (task["request"]["width"], task["request"]["height"]) == (None, None)
    assert (task["parameters"]["width"], task["parameters"]["height"]) == (512, 512)


def test_a_number_out_of_range_is_refused_at_its_field(page: Page) -> None:
    dialog = Dialog(page).open().advanced()
    dialog.prompt.fill(PROMPT)
    dialog.form.get_by_label("Steps").fill("4000")
    dialog.action("Generate").click()
    expect(dialog.form.get_by_label("Steps")).to_be_focused()
    expect(dialog.form.get_by_label("Steps")).to_have_accessible_description(re.compile("from 1 to 150"))


def test_the_seed_that_was_drawn_with_is_told_and_can_be_kept(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().generate(count=1).wait_for_pictures()
    first = last_task(site)["parameters"]["seed"]
    expect(dialog.seed).to_have_value(str(first))
    dialog.action("Generate").click()
    wait_until(lambda: last_task(site)["parameters"]["seed"] != first, "a new seed is drawn")
    dialog.wait_for_pictures()
    second = last_task(site)["parameters"]["seed"]
    expect(dialog.seed).to_have_value(str(second))
    dialog.action("Keep this seed").click()
    expect(dialog.action("Keep this seed")).to_have_attribute("aria-pressed", "true")
    dialog.prompt.fill("another description")
    dialog.action("Generate").click()
    wait_until(lambda: last_task(site)["request"]["prompt"] == "another description", "it is asked for")
    assert last_task(site)["parameters"]["seed"] == second


def test_high_priority_is_offered_to_those_who_may(site: Site, open_page: OpenPage, article: int) -> None:
    dialog = Dialog(open_page(change_page(article))).open().advanced()
    expect(dialog.form.get_by_label("Priority")).to_be_hidden()
    dialog = Dialog(open_page(change_page(article), user="admin")).open().advanced()
    dialog.form.get_by_label("Priority").select_option("high")
    dialog.generate(count=1).wait_for_pictures()
    assert last_task(site)["request"]["priority"] == "high"


# -- starting points ---------------------------------------------------------------------------------------------------


def test_the_article_and_the_selection_are_starts_that_can_be_taken_back(site: Site, page: Page, article: int) -> None:
    tasks = site.query("SELECT count(*) FROM cms_ai_images_generationtask")
    page.get_by_label("Summary").fill("A <b>short</b> one, with 1 < 2.")
    page.locator(".tiptap").focus()
    page.keyboard.press("Control+a")
    dialog = Dialog(page).open()
    expect(dialog.prompt).to_have_value("")
    dialog.prompt.fill("my own words")
    dialog.action("Use selected text").click()
    expect(dialog.prompt).to_have_value("Before the picture.")
    expect(dialog.prompt).to_be_focused()
    dialog.action("Use the article's title and summary").click()
    expect(dialog.prompt).to_have_value(re.compile("^A test. A"))
    dialog.action("Bring back my text").click()
    expect(dialog.prompt).to_have_value("my own words")
    assert violations(page) == []
    assert site.query("SELECT count(*) FROM cms_ai_images_generationtask") == tasks


# -- memory ------------------------------------------------------------------------------------------------------------


def test_the_last_settings_are_remembered_on_another_page(
    site: Site, open_page: OpenPage, page: Page, article: int
) -> None:
    dialog = Dialog(page).open().advanced()
    style(dialog, "Watercolour").check()
    shape(dialog, "3:2").check()
    dialog.seed.fill("5")
    dialog.form.get_by_label("Steps").fill("4")
    dialog.generate(model="Quick model", count=1).wait_for_pictures()
    wait_until(lambda: remembered(site).get("steps") == 4, "the settings are remembered")
    assert remembered(site)["preset"] == "watercolour"

    dialog = Dialog(open_page("/admin/articles/article/add/")).open()
    expect(style(dialog, "Watercolour")).to_be_checked()
    expect(shape(dialog, "3:2")).to_be_checked()
    expect(dialog.form.get_by_role("radio", name="1", exact=True)).to_be_checked()
    expect(dialog.prompt).to_have_value("")
    expect(dialog.root.get_by_text("2 changed")).to_be_visible()
    dialog.advanced()
    expect(dialog.form.get_by_label("Steps")).to_have_value("4")
    expect(dialog.model).to_have_value("quick")
    expect(dialog.seed).to_have_value("")  # it belongs to a picture


def test_what_is_remembered_but_gone_does_no_harm(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    style(dialog, "Photo").check()
    dialog.generate(model="Endless model", count=2)
    wait_until(lambda: remembered(site).get("preset") == "photo", "the settings are remembered")
    expect(dialog.root.get_by_text("Drawing, step", exact=False).first).to_be_visible()
    dialog.action("Cancel").click()
    expect(dialog.root.get_by_text("Cancelled.", exact=False).first).to_be_visible()
    site.execute("UPDATE cms_ai_images_stylepreset SET published = false WHERE slug = 'photo'")
    site.execute("UPDATE cms_ai_images_generationmodel SET enabled = false WHERE slug = 'endless'")
    try:
        page.reload()
        dialog = Dialog(page).open().advanced()
        expect(style(dialog, "None")).to_be_checked()
        expect(dialog.model).to_have_value("")
        dialog.prompt.fill(PROMPT)
        dialog.action("Generate").click()
        dialog.wait_for_pictures()
    finally:
        site.execute("UPDATE cms_ai_images_stylepreset SET published = true WHERE slug = 'photo'")
        site.execute("UPDATE cms_ai_images_generationmodel SET enabled = true WHERE slug = 'endless'")


def test_settings_can_be_saved_applied_and_deleted(page: Page) -> None:
    dialog = Dialog(page).open().advanced()
    style(dialog, "Photo").check()
    shape(dialog, "16:9").check()
    dialog.form.get_by_label("Steps").fill("9")
    dialog.action("Save these settings").click()
    name = dialog.root.get_by_role("textbox", name="Name of these settings")
    expect(name).to_be_focused()
    page.keyboard.press("Enter")
    expect(name).to_have_accessible_description("Give these settings a name.")
    page.keyboard.press("Escape")  # closes the row, not the dialog
    expect(name).to_be_hidden()
    dialog.action("Save these settings").click()
    page.keyboard.type("<b>Cover</b> picture")
    page.keyboard.press("Enter")
    saved = dialog.action("<b>Cover</b> picture")
    expect(saved).to_be_focused()
    assert violations(page) == []

    page.reload()
    dialog.open()
    style(dialog, "None").check()
    saved.click()
    expect(style(dialog, "Photo")).to_be_checked()
    expect(shape(dialog, "16:9")).to_be_checked()
    expect(dialog.form.get_by_label("Steps")).to_have_value("9")

    dialog.action("Delete the saved settings “<b>Cover</b> picture”").click()
    expect(saved).to_be_hidden()
    expect(dialog.action("Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(saved).to_be_focused()
    dialog.action("Delete the saved settings “<b>Cover</b> picture”").click()
    expect(dialog.action("Undo")).to_be_visible()
    page.reload()
    dialog.open()
    expect(dialog.root.get_by_text("Cover")).to_have_count(0)


# -- what it costs and where it goes -----------------------------------------------------------------------------------


def test_it_says_that_nothing_leaves_or_who_is_sent_the_text(page: Page) -> None:
    def name_a_provider(route: Route) -> None:
        answer = route.fetch()
        models = answer.json()
        models["results"][1]["provider"] = "Example Pictures"
        route.fulfill(response=answer, json=models)

    page.route("**/api/v1/models/", name_a_provider)
    dialog = Dialog(page).open().advanced()
    expect(dialog.root.get_by_text("Stays on your servers.")).to_be_visible()
    dialog.model.select_option(label="Slow model")
    expect(dialog.root.get_by_text("Your text is sent to Example Pictures.")).to_be_visible()


def test_the_price_and_the_balance_are_told_before_asking(page: Page) -> None:
    def price(route: Route) -> None:
        answer = route.fetch()
        models = answer.json()
        for model in models["results"]:
            model["qualities"][0]["prices"] = {"text_to_image": 30}
        route.fulfill(response=answer, json=models)

    page.route("**/api/v1/models/", price)
    page.route("**/api/v1/credits/", lambda route: route.fulfill(json={"enabled": True, "balance": 70}))
    dialog = Dialog(page).open()
    expect(dialog.root.get_by_text("2 × 30 = 60 of your 70 points")).to_be_visible()
    dialog.form.get_by_role("radio", name="1", exact=True).check()
    expect(dialog.root.get_by_text("30 of your 70 points")).to_be_visible()
    dialog.form.get_by_role("radio", name="4", exact=True).check()
    expect(
        dialog.root.get_by_text("4 × 30 = 120 of your 70 points. Not enough: ask for fewer pictures.")
    ).to_be_visible()
    assert violations(page) == []


# -- from a picture back to the form -----------------------------------------------------------------------------------


def test_refine_keeps_the_seed_and_variations_do_not(site: Site, page: Page) -> None:
    dialog = Dialog(page).open().advanced()
    dialog.form.get_by_label("Steps").fill("3")
    dialog.generate(count=2).wait_for_pictures()
    dialog.pictures.nth(1).check()
    seed = last_task(site)["parameters"]["seed"] + 1
    dialog.form.get_by_label("Steps").fill("9")
    dialog.action("Refine").click()
    expect(dialog.prompt).to_be_focused()
    expect(dialog.root.get_by_text(f"Seed {seed} and its settings are kept")).to_be_visible()
    expect(dialog.form.get_by_label("Steps")).to_have_value("3")
    assert violations(page) == []
    dialog.prompt.fill("a lighthouse at night")
    dialog.action("Generate").click()
    wait_until(lambda: last_task(site)["request"]["prompt"] == "a lighthouse at night", "it is asked for")
    assert last_task(site)["parameters"]["seed"] == seed
    dialog.action("Draw it anew instead").click()
    expect(dialog.seed).to_have_value("")
    dialog.wait_for_pictures()

    dialog.action("Variations").click()
    wait_until(lambda: last_task(site)["parameters"]["seed"] != seed, "variations are asked for")
    assert last_task(site)["request"]["prompt"] == "a lighthouse at night"
    assert last_task(site)["parameters"]["steps"] == 3
    dialog.wait_for_pictures()


def test_the_settings_of_a_picture_can_be_recalled(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    style(dialog, "Photo").check()
    dialog.generate(count=1).wait_for_pictures()
    seed = last_task(site)["parameters"]["seed"]
    style(dialog, "None").check()
    dialog.prompt.fill("something else")
    dialog.action("Use these settings").click()
    expect(dialog.prompt).to_have_value(PROMPT)
    expect(style(dialog, "Photo")).to_be_checked()
    expect(dialog.seed).to_have_value(str(seed))
