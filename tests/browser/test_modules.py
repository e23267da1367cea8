"""The small modules on their own, loaded by the browser from the site's static files."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from cms_ai_images.safety.prompt import clean_text

from .conftest import OpenPage


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("/admin/articles/article/add/")


def evaluate(page: Page, module: str, expression: str, argument: Any = None) -> Any:
    """The value of `expression`, in which `m` is the module and `x` the argument."""
    code = f"async (x) => {{ const m = await import('/static/cms_ai_images/{module}'); return {expression}; }}"
    return page.evaluate(code, argument)


def test_a_size_is_called_by_its_usual_ratio(page: Page) -> None:
    sizes = [[1024, 1024], [192, 128], [128, 192], [1344, 768], [768, 1344], [1000, 100]]
    names = ["1:1", "3:2", "2:3", "16:9", "9:16", "1000 × 100"]
    assert evaluate(page, "ratio.js", "x.map((size) => m.ratioName(...size))", sizes) == names


def test_pictures_are_large_and_stand_in_whole_rows(page: Page) -> None:
    wide = {"width": 640, "height": 500, "gap": 12}
    phone = {"width": 358, "height": 460, "gap": 12}
    cases = [
        [1, 1, wide],
        [2, 1.5, wide],
        [2, 0.67, wide],
        [4, 1, wide],
        [9, 1, wide],
        [4, 1.75, phone],
        [2, 1.5, phone],
    ]
    assert evaluate(page, "layout.js", "x.map((grid) => m.columnsFor(...grid))", cases) == [1, 1, 2, 2, 3, 2, 1]


def test_a_prompt_is_as_long_as_the_server_says(page: Page) -> None:
    prompts = ["", "  a fox \n", "a\nb\tc", "\U0001f98a fox", "cafe\u0301", "a\x00\x7fb", "\U0001f469\u200d\U0001f3a8"]
    assert evaluate(page, "prompt.js", "x.map(m.promptLength)", prompts) == [len(clean_text(p)) for p in prompts]


MOVES = """(() => {
    const told = [];
    const machine = new m.Machine((state) => told.push(state));
    for (const state of x) {
        try {
            machine.to(state);
        } catch (error) {
            told.push(error.message);
        }
    }
    return told;
})()"""


def test_the_dialog_goes_where_the_table_of_states_says(page: Page) -> None:
    way = ["queued", "generating", "choosing", "choosing", "reviewing", "queued", "queued", "reviewing", "inserted"]
    assert evaluate(page, "machine.js", MOVES, way) == way[:3] + way[4:6] + way[7:]
    refused = ["The dialog cannot go from idle to reviewing.", "The dialog cannot go from idle to inserted."]
    assert evaluate(page, "machine.js", MOVES, ["reviewing", "inserted"]) == refused


PLAN = """x.chosen.map((chosen) => {
    const plan = m.planOf(x, chosen);
    return [plan.model?.slug, plan.usual?.slug, plan.size, plan.value("steps"), plan.isLocked("steps")];
})"""


def test_model_and_style_decide_what_the_author_leaves_open(page: Page) -> None:
    """As `cms_ai_images.resolution` does it on the server."""
    models = [
        {"slug": "other", "is_default": False, "sizes": [[512, 512]], "default_parameters": {"steps": 9}},
        {"slug": "usual", "is_default": True, "sizes": [[768, 512]], "default_parameters": {"steps": 20}},
    ]
    presets = [
        {"slug": "free", "model": "other", "parameters": {"steps": 4}, "locked": []},
        {"slug": "strict", "model": "other", "parameters": {"width": 64, "height": 96}, "locked": ["model", "steps"]},
    ]
    expected = {
        ("", ""): ["usual", "usual", [768, 512], 20, False],
        ("", "other"): ["other", "usual", [512, 512], 9, False],
        ("free", ""): ["other", "other", [512, 512], 4, False],
        ("free", "usual"): ["usual", "other", [768, 512], 4, False],
        ("strict", "usual"): ["other", "other", [64, 96], 9, True],
        ("withdrawn", "gone"): ["usual", "usual", [768, 512], 20, False],
    }
    chosen = [{"preset": preset, "model": model} for preset, model in expected]
    choices = {"models": models, "presets": presets, "chosen": chosen}
    assert evaluate(page, "plan.js", PLAN, choices) == list(expected.values())


TEXTS = """(() => {
    const root = document.createElement("div");
    for (const [name, text] of Object.entries(x.texts)) {
        const template = document.createElement("template");
        template.dataset.text = name;
        template.innerHTML = text;
        root.append(template);
    }
    const texts = new m.Texts(root, x.language);
    return x.numbers.map((n) => texts.nth("line", n));
})()"""


def test_places_in_line_follow_the_language(page: Page) -> None:
    english = {f"line_{form}": "{n}" + ending for form, ending in zip(FORMS, ["st", "nd", "rd", "th"], strict=True)}
    words = {"texts": english, "language": "en", "numbers": [1, 2, 3, 4, 11, 22]}
    assert evaluate(page, "texts.js", TEXTS, words) == ["1st", "2nd", "3rd", "4th", "11th", "22nd"]
    german = {f"line_{form}": "Platz {n}" for form in FORMS}
    words = {"texts": german, "language": "de", "numbers": [1, 2]}
    assert evaluate(page, "texts.js", TEXTS, words) == ["Platz 1", "Platz 2"]


FORMS = ["one", "two", "few", "other"]
ORIGIN = "m.pageOrigin(document.querySelector('#id_body'), 'body')"


def test_the_origin_of_an_object_that_is_not_saved_yet_has_no_key(page: Page) -> None:
    origin = evaluate(page, "page_origin.js", ORIGIN)
    assert origin == {"label": "articles.article", "object_id": "", "field": "body"}


def test_the_origin_has_the_key_that_the_admin_quoted(page: Page) -> None:
    page.evaluate("history.replaceState(null, '', '/admin/articles/article/a_2Fb_5Fc/change/')")
    assert evaluate(page, "page_origin.js", ORIGIN)["object_id"] == "a/b_c"


def test_a_form_outside_the_admin_can_say_its_origin(page: Page) -> None:
    page.evaluate("document.querySelector('#id_body').form.dataset.aiImagesOrigin = 'shop.product:a:7'")
    origin = evaluate(page, "page_origin.js", ORIGIN)
    assert origin == {"label": "shop.product", "object_id": "a:7", "field": "body"}


def test_a_page_that_says_nothing_has_no_origin(page: Page) -> None:
    page.evaluate("document.body.className = ''")
    assert evaluate(page, "page_origin.js", ORIGIN) is None
