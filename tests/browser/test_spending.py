"""The page that sums up what was spent: charts without scripts and styles, for every eye and every width."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from .axe import violations
from .conftest import OpenPage, logins
from .site import Site

PATH = "/admin/cms_ai_images/spending/"
DATA = """
import datetime, random, uuid
from django.contrib.auth.models import Group, User
from django.utils import timezone
from cms_ai_images import spending
from cms_ai_images.models import CreditAccount, CreditEntry

random.seed(7)
people = [User.objects.create_user(name) for name in ("amara", "bjoern", "chiara", "dmitri", "a-rather-long-user-name")]
newsroom, sports = (Group.objects.create(name=name) for name in ("Newsroom", "Sports"))
for number, user in enumerate(people):
    user.groups.add((newsroom, sports)[number % 2])
accounts = {user: CreditAccount.objects.create(user=user) for user in people}
shared = CreditAccount.objects.create(group=sports)
for age in range(9):
    month = spending.months_after(spending.this_month(), -age)
    for _ in range(random.randint(4, 12)):
        user = random.choice(people)
        points = random.choice((30, 60, 120, 480))
        entry = CreditEntry.objects.create(
            account=shared if user.groups.filter(pk=sports.pk) and random.random() < 0.4 else accounts[user],
            kind="reserve", amount=-points, task_uuid=uuid.uuid4(), charge_round=1, created_by=user,
            model_label=random.choice(("Z-Image Turbo", "FLUX.2", "Qwen-Image 2512")), operation="text_to_image",
        )
        when = timezone.make_aware(datetime.datetime.combine(month, datetime.time(9)))
        CreditEntry.objects.filter(pk=entry.pk).update(created_at=when)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The example site with credits on, after nine months of work."""
    site = Site(AI_IMAGES_SITE_SETTINGS=json.dumps({"CREDITS": True}))
    try:
        site.start()
        site.python(DATA)
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def log_in(site: Site, browser: Browser) -> Callable[[str], StorageState]:
    return logins(site, browser)


LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {},
    "phone": {"width": 360, "height": 740},
    "dark": {"color_scheme": "dark"},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_it(open_page: OpenPage, look: dict[str, Any]) -> None:
    page = open_page(PATH, "manager", **look)
    expect(page.get_by_role("heading", name="By month")).to_be_visible()
    assert violations(page, "#content") == []
    assert page.evaluate("violations") == []  # of the site's Content-Security-Policy
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    columns = page.locator(".ai-spending-columns rect")
    assert columns.count() == 6
    tallest = max(columns.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)"))
    assert 90 <= tallest <= 180


def test_another_range_is_chosen_and_taken_along(open_page: OpenPage) -> None:
    page: Page = open_page(PATH, "manager")
    months = page.get_by_label("From").locator("option").evaluate_all("all => all.map(each => each.value)")
    assert len(months) == 9
    page.get_by_label("From").select_option(months[-1])
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".ai-spending-columns rect")).to_have_count(9)
    expect(page.get_by_role("table", name="By month").get_by_role("row")).to_have_count(10)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == f"ai-images-spending-{months[-1]}-{months[0]}.csv"
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    total = sum(int(line.rsplit(",", 1)[1]) for line in lines[1:])
    expect(page.get_by_text(f"{total:,} points for ")).to_be_visible()


def test_a_range_that_cannot_be_is_explained(open_page: OpenPage) -> None:
    page = open_page(PATH, "manager")
    months = page.get_by_label("From").locator("option").evaluate_all("all => all.map(each => each.value)")
    page.get_by_label("From").select_option(months[0])
    page.get_by_label("To:").select_option(months[1])
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("the earlier one first")
    assert violations(page, "#content") == []
