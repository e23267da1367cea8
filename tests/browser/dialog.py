"""The dialog as a person meets it: found by role and name, never by class."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page

PROMPT = "a lighthouse on a cliff at dawn"


class Dialog:
    """The dialog that opens over `page`."""

    def __init__(self, page: Page, button: str = "AI image") -> None:
        self.page = page
        self.button = button
        self.root = page.get_by_role("dialog", name="AI image")

    def open(self) -> Dialog:
        """Click the button and wait until there is something to choose from."""
        self.page.get_by_role("button", name=re.compile(rf"^{self.button}(, \d+ ready)?$")).click()
        self.root.get_by_role("group", name="Style").wait_for()
        return self

    def generate(self, prompt: str = PROMPT, *, model: str = "Quick model", count: int = 2) -> Dialog:
        """Ask for pictures."""
        self.prompt.fill(prompt)
        self.advanced()
        self.model.select_option(label=model)
        self.root.get_by_role("radio", name=str(count), exact=True).check()
        self.action("Generate").click()
        return self

    def advanced(self) -> Dialog:
        """Open the section of what few people need."""
        if not self.model.is_visible():
            self.root.get_by_text("Advanced").click()
        return self

    def wait_for_pictures(self) -> Dialog:
        """Return when they can be chosen."""
        self.action("Use").wait_for()
        return self

    def use(self) -> Dialog:
        """Go on with the chosen picture to the words that go with it."""
        self.action("Use").click()
        self.action("Insert").wait_for()
        return self

    @property
    def prompt(self) -> Locator:
        return self.root.get_by_role("textbox", name="Describe the picture")

    @property
    def form(self) -> Locator:
        return self.root.get_by_role("form", name="What to draw")

    @property
    def model(self) -> Locator:
        return self.form.get_by_label("Model")

    @property
    def seed(self) -> Locator:
        return self.root.get_by_role("textbox", name="Seed")

    @property
    def pictures(self) -> Locator:
        return self.root.get_by_role("radiogroup", name="Pictures").get_by_role("radio")

    @property
    def alert(self) -> Locator:
        return self.root.get_by_role("alert")

    def action(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)


def pass_time(page: Page, seconds: int) -> None:
    """Let the clock of `page`, which must be installed, run; what is asked in a second is answered before the next."""
    for _ in range(seconds):
        page.clock.run_for(1000)
        page.evaluate("() => fetch('/admin/jsi18n/')")
