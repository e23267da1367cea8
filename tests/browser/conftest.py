"""The example site, a real Chromium, and people who are logged in. Screenshots of failures land in `test-results/`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .site import ROOT, Site

RESULTS = ROOT / "test-results"
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first one is the same without windows; a page opens in half the time."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ACTION_SECONDS = 15

# The site's Content-Security-Policy has to hold while the dialog works.
NOTE_POLICY_VIOLATIONS = """
    window.violations = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective, sourceFile }) =>
        violations.push(`${violatedDirective} ${sourceFile}`));
"""

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not browser"` leaves them out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Keep the outcome, so that a page's fixture knows whether to keep a picture of it."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The example site with a worker: one for each test process, which takes its files in any order."""
    with Site() as site:
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with the package: while it lives, Django refuses the database in this thread."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert executable, "The browser tests need a Chromium: apt-get install chromium-headless-shell"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(site: Site, browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Open pages of the site as somebody; a script error on any of them fails the test."""
    pages: list[Page] = []
    errors: list[str] = []

    def open_page(path: str, user: str = "editor", width: int = 1280, height: int = 860, **options: Any) -> Page:
        cookies = site.log_in(user, browser)
        context = browser.new_context(
            storage_state=cookies, viewport={"width": width, "height": height}, base_url=site.url, **options
        )
        context.set_default_timeout(ACTION_SECONDS * 1000)
        context.add_init_script(NOTE_POLICY_VIOLATIONS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append(page)
        page.goto(path)
        return page

    yield open_page
    if request.node.stash.get(FAILED, False):
        RESULTS.mkdir(exist_ok=True)
        for number, page in enumerate(pages):
            page.screenshot(path=RESULTS / f"{request.node.name.replace('/', '-')}-{number}.png")
    for page in pages:
        page.context.close()
    assert not errors


@pytest.fixture
def article(site: Site) -> Iterator[int]:
    """The key of an article of the test's own, with nothing waiting for anybody; its slug is `article-<key>`."""
    key = site.query("SELECT max(id) + 1 FROM articles_article")[0][0]
    site.execute(
        "INSERT INTO articles_article (id, title, slug, summary, body, published, created_at) "
        "VALUES (?, 'A test', ?, '', '<p>Before the picture.</p>', true, '2026-01-01')",
        key,
        f"article-{key}",
    )
    yield key
    site.execute("UPDATE cms_ai_images_generationtask SET cancel_requested_at = '2026-01-01' WHERE status = 'running'")
    site.execute("DELETE FROM cms_ai_images_userpreference_favourite_presets")
    site.execute("DELETE FROM cms_ai_images_userpreference")  # the next test begins as if nobody had chosen anything
