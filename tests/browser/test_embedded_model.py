"""Words become a matching picture on a page: the example site's own model, drawn by a real worker."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .dialog import Dialog
from .site import Site

pytest.importorskip("torch")

LABEL = "Emoji (demo model)"


@pytest.fixture
def _demo_model(site: Site) -> None:
    site.python(
        """
from cms_ai_images.models import GenerationModel
from project.demo import preflight, seeds
seeds.seed_model(preflight.EMBEDDED_MODEL)
GenerationModel.objects.filter(slug=seeds.MODEL_SLUG).update(position=99)
"""
    )


def picture(page: Page, name: str) -> np.ndarray:
    """What `page` shows under that name, as numbers from 0 to 1: (height, width, 3)."""
    shown = page.get_by_role("img", name=name)
    answer = page.request.get(str(shown.evaluate("picture => picture.src")))
    assert answer.status == 200
    return np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB")) / 255


@pytest.mark.usefixtures("_demo_model")
def test_a_red_apple_on_white_reaches_the_public_page(site: Site, open_page: OpenPage, article: int) -> None:
    page = open_page(f"/admin/articles/article/{article}/change/")
    dialog = Dialog(page).open().generate("a red apple on a white background", model=LABEL, count=1)
    dialog.action("Use").wait_for(timeout=60_000)  # the worker loads the model first
    expect(dialog.root.get_by_text(LABEL).locator("visible=true").first).to_be_visible()
    dialog.use()
    dialog.root.get_by_role("radio", name="Picture alone").check()
    dialog.root.get_by_label("Alternative text").fill("An apple")
    dialog.action("Insert").click()
    expect(page.locator(".tiptap").get_by_role("img", name="An apple")).to_be_visible()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()

    page.goto(f"/articles/article-{article}/")
    apple = picture(page, "An apple")
    height, width = apple.shape[:2]
    red, green, blue = apple[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8].mean((0, 1))
    assert red > green + 0.2
    assert red > blue + 0.1
    assert apple[: height // 8, : width // 8].min() > 0.8
