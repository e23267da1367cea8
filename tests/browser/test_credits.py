"""A site that counts points: prices are told, nothing is drawn that cannot be paid, and what was spent is summed up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .axe import violations
from .conftest import OpenPage
from .dialog import PROMPT, Dialog
from .site import Site

NINE_MONTHS = """
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
    """The example site with credits on, after nine months of work; a picture of the quick model costs 30 points."""
    with Site(AI_IMAGES_SITE_SETTINGS=json.dumps({"CREDITS": True, "LOW_BALANCE": 50})) as site:
        site.execute(
            "UPDATE cms_ai_images_generationmodel SET prices = ?", json.dumps({"text_to_image": {"standard": 30}})
        )
        site.python(NINE_MONTHS)
        yield site


@pytest.fixture
def page(site: Site, open_page: OpenPage, article: int) -> Page:
    """An article's page of an author who has 70 points."""
    give(site, 70)
    return open_page(f"/admin/articles/article/{article}/change/")


def give(site: Site, points: int) -> None:
    """Let the author have so many points and no others."""
    site.python(
        "from django.contrib.auth.models import User; from cms_ai_images.models import CreditAccount;"
        "CreditAccount.objects.update_or_create("
        f"user=User.objects.get(username='editor'), defaults={{'balance': {points}}})"
    )


def test_the_price_is_told_and_taken(page: Page) -> None:
    dialog = Dialog(page).open()
    expect(dialog.root.get_by_text("2 × 30 = 60 of your 70 points", exact=True)).to_be_visible()
    dialog.generate(count=2)
    expect(dialog.root.get_by_text("2 × 30 = 60 of your 10 points. Not enough")).to_be_visible()
    dialog.wait_for_pictures()


def test_what_cannot_be_paid_is_refused_and_the_description_kept(site: Site, page: Page) -> None:
    count = site.count_tasks()
    dialog = Dialog(page).open().generate(count=4)
    short = "4 × 30 = 120 of your 70 points. Not enough: ask for fewer pictures."
    expect(dialog.action("Generate")).to_have_accessible_description(re.compile(re.escape(short)))
    refusal = "This would cost 120 points and 70 are left. Ask for fewer pictures, or ask an administrator for points."
    expect(dialog.alert).to_have_text(refusal)
    expect(dialog.prompt).to_have_value(PROMPT)
    expect(dialog.action("Generate")).not_to_have_attribute("aria-disabled", "true")
    expect(dialog.root).to_have_attribute("data-state", "idle")
    assert site.count_tasks() == count
    assert violations(page) == []

    dialog.form.get_by_role("radio", name="1", exact=True).check()
    expect(dialog.root.get_by_text("30 of your 70 points")).to_be_visible()
    dialog.action("Generate").click()
    expect(dialog.alert).to_be_empty()
    dialog.wait_for_pictures()
    assert site.count_tasks() == count + 1


def test_points_that_were_spent_elsewhere_are_told_with_the_refusal(site: Site, page: Page) -> None:
    dialog = Dialog(page).open()
    expect(dialog.root.get_by_text("2 × 30 = 60 of your 70 points")).to_be_visible()
    give(site, 20)
    dialog.generate(count=2)
    expect(dialog.alert).to_contain_text("20 are left")
    expect(dialog.root.get_by_text("60 of your 20 points. Not enough")).to_be_visible()
    expect(dialog.prompt).to_have_value(PROMPT)


def test_that_fewer_pictures_would_not_help_is_not_held_back(site: Site, page: Page) -> None:
    give(site, 20)
    dialog = Dialog(page).open()
    dialog.form.get_by_role("radio", name="1", exact=True).check()
    expect(dialog.root.get_by_text("30 of your 20 points. Not enough for one picture.")).to_be_visible()


def test_that_few_are_left_is_said_in_time(site: Site, page: Page) -> None:
    give(site, 40)
    dialog = Dialog(page).open()
    dialog.form.get_by_role("radio", name="1", exact=True).check()
    expect(dialog.root.get_by_text("30 of your 40 points. Few are left.")).to_be_visible()


def test_what_was_not_drawn_costs_nothing(page: Page) -> None:
    dialog = Dialog(page).open().generate(model="Broken model", count=1)
    expect(dialog.alert).to_contain_text("An administrator")
    expect(dialog.root.get_by_text("30 of your 70 points")).to_be_visible()


def test_a_better_quality_has_its_price_and_is_remembered(site: Site, page: Page) -> None:
    qualities, prices = {"high": {"steps": 4}}, {"text_to_image": {"standard": 30, "high": 60}}
    site.execute("UPDATE cms_ai_images_generationmodel SET qualities = ?", json.dumps(qualities))
    site.execute("UPDATE cms_ai_images_generationmodel SET prices = ?", json.dumps(prices))
    dialog = Dialog(page).open().advanced()
    dialog.model.select_option(label="Quick model")
    quality = dialog.form.get_by_role("group", name="Quality")
    expect(quality.get_by_role("radio", name="Standard")).to_be_checked()
    dialog.form.get_by_role("radio", name="1", exact=True).check()
    expect(dialog.root.get_by_text("30 of your 70 points")).to_be_visible()
    quality.get_by_role("radio", name="High").check()
    expect(dialog.root.get_by_text("60 of your 70 points")).to_be_visible()
    expect(dialog.form.get_by_label("Steps")).to_have_attribute("placeholder", "4")
    assert violations(page) == []
    dialog.generate(count=1).wait_for_pictures()
    last = "SELECT request, parameters, cost FROM cms_ai_images_generationtask ORDER BY id DESC LIMIT 1"
    ((request, parameters, cost),) = site.query(last)
    assert (json.loads(request)["quality"], json.loads(parameters)["steps"], cost) == ("high", 4, 60)
    page.reload()
    expect(Dialog(page).open().form.get_by_role("radio", name="High")).to_be_checked()


# -- What was spent ----------------------------------------------------------------------------------------------------


SPENDING = "/admin/cms_ai_images/spending/"
LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {},
    "phone": {"width": 360, "height": 740},
    "dark": {"color_scheme": "dark"},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_it(open_page: OpenPage, look: dict[str, Any]) -> None:
    page = open_page(SPENDING, "manager", **look)
    expect(page.get_by_role("heading", name="By month")).to_be_visible()
    assert violations(page, "#content") == []
    assert page.evaluate("violations") == []  # of the site's Content-Security-Policy
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    columns = page.locator(".ai-spending-columns rect")
    assert columns.count() == 6
    tallest = max(columns.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)"))
    assert 90 <= tallest <= 180


def test_another_range_is_chosen_and_taken_along(open_page: OpenPage) -> None:
    page: Page = open_page(SPENDING, "manager")
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
    page = open_page(SPENDING, "manager")
    months = page.get_by_label("From").locator("option").evaluate_all("all => all.map(each => each.value)")
    page.get_by_label("From").select_option(months[0])
    page.get_by_label("To:").select_option(months[1])
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("the earlier one first")
    assert violations(page, "#content") == []
