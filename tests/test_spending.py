"""What was spent, summed up by the database: page, API and CSV say the same."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import override

from cms_ai_images import spending
from cms_ai_images.admin import charts
from cms_ai_images.models import CreditAccount, CreditEntry
from cms_ai_images.spending import Period

from .conftest import make_user

pytestmark = pytest.mark.django_db

Kind = CreditEntry.Kind
WINTER = Period(first=date(2026, 1, 1), last=date(2026, 3, 1))


@pytest.fixture(autouse=True)
def credits_on() -> Any:
    with override_settings(CMS_AI_IMAGES={"CREDITS": True}):
        yield


def account_of(owner: User | Group) -> CreditAccount:
    kind = "user" if isinstance(owner, User) else "group"
    return CreditAccount.objects.get_or_create(**{kind: owner})[0]


def spend(
    user: User | None,
    points: int,
    when: str,
    *,
    back: int | None = 0,
    back_when: str = "",
    account: CreditAccount | None = None,
    model: str = "Z",
) -> None:
    """A task that reserved `points`, of which `back` came back; `None` while it is open."""
    values = {
        "account": account or account_of(user) if user else account,
        "task_uuid": uuid.uuid4(),
        "charge_round": 1,
        "model_label": model,
        "operation": "text_to_image",
    }
    _entry(when, **values, kind=Kind.RESERVE, amount=-points, created_by=user)
    if back is not None:
        _entry(back_when or when, **values, kind=Kind.REFUND if back == points else Kind.SETTLE, amount=back)


def _entry(when: str, **values: Any) -> None:
    entry = CreditEntry.objects.create(**values)
    CreditEntry.objects.filter(pk=entry.pk).update(created_at=datetime.fromisoformat(when).replace(tzinfo=UTC))


def told(sums: spending.Sums) -> list[tuple[str, int, int]]:
    return [(line.label, line.tasks, line.points) for line in sums.lines]


# -- The sums ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def winter(author: User, other_author: User) -> Group:
    """Two people, a group whose account pays for some of it, and every way in which a task can end."""
    writers = Group.objects.create(name="Writers")
    author.groups.add(writers)
    other_author.groups.add(writers, Group.objects.create(name="Weather"))
    spend(author, 40, "2026-01-10", model="Z")
    spend(author, 40, "2026-01-31T23:59", back=10, back_when="2026-02-01T00:10", model="Q")
    spend(author, 40, "2026-02-10", back=40, model="Q")
    spend(other_author, 30, "2026-03-31T23:59", account=account_of(writers))
    spend(other_author, 7, "2026-03-01", back=None)
    spend(author, 1000, "2025-12-31T23:59")
    spend(author, 1000, "2026-04-01")
    _entry("2026-02-02", account=account_of(author), kind=Kind.GRANT, amount=500, created_by=author)
    return writers


def test_months_hold_what_was_reserved_in_them_less_what_came_back(winter: Group) -> None:
    sums = spending.by_month(WINTER)
    assert told(sums) == [("2026-01", 2, 70), ("2026-02", 0, 0), ("2026-03", 2, 37)]
    assert (sums.tasks, sums.points, sums.others) == (4, 107, None)


def test_people_groups_and_models(winter: Group) -> None:
    assert told(spending.by_user(WINTER)) == [("author", 2, 70), ("other", 2, 37)]
    assert told(spending.by_group(WINTER)) == [("Writers", 1, 30)]
    assert told(spending.by_members(WINTER)) == [("Writers", 4, 107), ("Weather", 2, 37)]
    assert told(spending.by_model(WINTER)) == [("Z", 3, 77), ("Q", 1, 30)]


def test_every_list_can_be_narrowed_to_one_person(winter: Group, other_author: User) -> None:
    for by in spending.DIMENSIONS.values():
        assert by(WINTER, other_author).points in (37, 30, 74)
    assert told(spending.by_user(WINTER, other_author)) == [("other", 2, 37)]


def test_what_deleted_people_spent_stays(author: User, other_author: User, winter: Group) -> None:
    other_author.delete()
    winter.delete()
    sums = spending.by_user(WINTER)
    assert sums.points == 107
    assert told(sums)[0] == ("author", 2, 70)
    assert spending.by_month(WINTER).points == 107


def test_months_are_those_of_the_site(author: User) -> None:
    spend(author, 5, "2026-01-31T23:30")
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert [line.points for line in spending.by_month(WINTER).lines] == [0, 5, 0]
        assert Period(first=date(2026, 2, 1), last=date(2026, 2, 1)).span[0].isoformat() == "2026-02-01T00:00:00+01:00"


def test_the_smallest_lines_are_told_together(author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "TOP", 2)
    for number in range(5):
        spend(author, number + 1, "2026-01-10", model=f"model {number}")
    sums = spending.by_model(WINTER)
    assert told(sums) == [("model 4", 1, 5), ("model 3", 1, 4)]
    assert sums.others is not None
    assert (sums.others.tasks, sums.others.points, sums.points) == (3, 6, 15)


def test_nothing_spent() -> None:
    for name, by in spending.DIMENSIONS.items():
        assert (by(WINTER).points, len(by(WINTER).lines)) == (0, 3 if name == "month" else 0)
    assert spending.first_month() == spending.this_month()
    assert list(spending.table(WINTER)) == [[], [], []]


def test_the_index_of_reservations_bounds_the_range(winter: Group) -> None:
    assert spending.first_month() == date(2025, 12, 1)
    if connection.vendor == "postgresql":  # which would rather read a table as small as this one as a whole
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = spending._spent(WINTER).explain()
    assert "ai_images_entry_spent" in plan
    assert "ai_images_entry_once" in plan or "ai_images_entry_closed_once" in plan


def test_calendar() -> None:
    assert spending.months_after(date(2026, 1, 1), -1) == date(2025, 12, 1)
    assert spending.months_after(date(2026, 12, 1), 13) == date(2028, 1, 1)
    assert len(Period.default().months) == spending.DEFAULT_MONTHS
    assert Period(first=date(2026, 2, 1), last=date(2026, 1, 1)).months == []


# -- The page ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def manager() -> Client:
    client = Client()
    client.force_login(make_user("manager", "cms_ai_images.manage_credits", is_staff=True))
    return client


PAGE = "/admin/cms_ai_images/spending/"
RANGE = {"from": "2026-01", "to": "2026-03"}


def test_the_page_shows_the_sums_without_inline_code(manager: Client, winter: Group) -> None:
    html = manager.get(PAGE, RANGE).content.decode()
    for words in ("107", "Writers", "Weather", "author", "other", "<svg", "Spending"):
        assert words in html
    main = html[html.index('id="content"') :]
    assert "style=" not in main
    assert "<script>" not in main
    assert "onclick" not in main


def test_the_page_is_found_from_the_index(manager: Client) -> None:
    assert PAGE in manager.get("/admin/").content.decode()
    with override_settings(CMS_AI_IMAGES={"CREDITS": False}):
        assert PAGE not in manager.get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("asked", "months"),
    [
        ({}, spending.DEFAULT_MONTHS),
        (RANGE, 3),
        ({"from": "2026-03", "to": "2026-01"}, spending.DEFAULT_MONTHS),
        ({"from": "2026-13", "to": "x"}, spending.DEFAULT_MONTHS),
        ({"from": "1026-01"}, spending.DEFAULT_MONTHS),
        ({"to": "' OR 1=1"}, spending.DEFAULT_MONTHS),
    ],
)
def test_any_range_is_answered(manager: Client, winter: Group, asked: dict[str, str], months: int) -> None:
    response = manager.get(PAGE, asked)
    assert response.status_code == 200
    assert len(response.context["chart"]["bars"]) == months


def test_page_and_download_are_for_those_who_manage_credits(author: User, winter: Group) -> None:
    client = Client()
    client.force_login(author)
    for address in (PAGE, f"{PAGE}export/"):
        assert client.get(address).status_code == 403
        assert Client().get(address).status_code == 302


def test_without_credits_nothing_of_it_is_seen(admin: User, winter: Group) -> None:
    client = Client()
    client.force_login(admin)
    with override_settings(CMS_AI_IMAGES={"CREDITS": False}):
        for address in (PAGE, f"{PAGE}export/", reverse("cms_ai_images:spending")):
            assert client.get(address).status_code == 404


def test_queries_do_not_grow(manager: Client, winter: Group, author: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            manager.get(PAGE, RANGE)
        return len(captured)

    few = queries()
    for number in range(20):
        group = Group.objects.create(name=f"group {number}")
        user = make_user(f"user-{number}")
        user.groups.add(group)
        spend(user, 5, "2026-01-10", model=f"model {number}", account=account_of(group))
    assert queries() == few


# -- The download ------------------------------------------------------------------------------------------------------


def rows_of(response: Any) -> list[list[str]]:
    data = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(data)))


def test_the_download_sums_up_to_the_same(manager: Client, winter: Group) -> None:
    response = manager.get(f"{PAGE}export/", RANGE)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    header, *rows = rows_of(response)
    assert header == list(spending.COLUMNS)
    assert rows == [
        ["2026-01", "author", "author", "Z", "text_to_image", "1", "40"],
        ["2026-01", "author", "author", "Q", "text_to_image", "1", "30"],
        ["2026-03", "other", "Writers", "Z", "text_to_image", "1", "30"],
        ["2026-03", "other", "other", "Z", "text_to_image", "1", "7"],
    ]


def test_the_download_is_sent_in_chunks_under_asgi_too(winter: Group) -> None:
    """A plain iterator would be collected as a whole there, and Django would warn."""
    user = make_user("manager", "cms_ai_images.manage_credits", is_staff=True)

    async def chunks() -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(user)
        response = await client.get(f"{PAGE}export/", RANGE)
        assert response.is_async
        return [chunk async for chunk in response.streaming_content]

    found = async_to_sync(chunks)()
    assert [len(chunk.splitlines()) for chunk in found] == [1, 2, 0, 2]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(manager: Client, author: User, name: str) -> None:
    spend(author, 5, "2026-01-10", model=name)
    rows = rows_of(manager.get(f"{PAGE}export/", RANGE))
    assert rows[1][3] == f"'{name}"


# -- The API -----------------------------------------------------------------------------------------------------------


def test_everybody_sees_their_own_through_the_api(author: User, winter: Group) -> None:
    client = Client()
    client.force_login(author)
    data = client.get(reverse("cms_ai_images:spending"), RANGE).json()
    assert data == {
        "from": "2026-01",
        "to": "2026-03",
        "by": "month",
        "tasks": 2,
        "points": 70,
        "results": [
            {"key": "2026-01", "label": "2026-01", "tasks": 2, "points": 70},
            {"key": "2026-02", "label": "2026-02", "tasks": 0, "points": 0},
            {"key": "2026-03", "label": "2026-03", "tasks": 0, "points": 0},
        ],
        "others": None,
    }
    assert client.get(reverse("cms_ai_images:spending"), {**RANGE, "by": "user"}).json()["points"] == 70


def test_managers_see_everybodys_through_the_api(author: User, winter: Group) -> None:
    client = Client()
    client.force_login(author)
    everybody = {**RANGE, "user": "all", "by": "members"}
    assert client.get(reverse("cms_ai_images:spending"), everybody).json()["code"] == "not_permitted"
    client.force_login(make_user("boss", "cms_ai_images.generate", "cms_ai_images.manage_credits"))
    data = client.get(reverse("cms_ai_images:spending"), everybody).json()
    assert [(line["label"], line["points"]) for line in data["results"]] == [("Writers", 107), ("Weather", 37)]
    assert data["results"][0]["key"] == winter.pk


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"by": "shoe"}, "by"),
        ({"from": "2026"}, "from"),
        ({"to": "2026-00"}, "to"),
        ({"from": "0000-01", "to": "0000-02"}, "from"),
        ({"from": "9999-12", "to": "9999-12"}, "from"),
        ({"user": "admin"}, "user"),
        ({"from": "2026-03", "to": "2026-01"}, "from"),
        ({"from": "2000-01", "to": "2026-01"}, "from"),
    ],
)
def test_wrong_questions_are_explained_at_their_field(author: User, asked: dict[str, str], field: str) -> None:
    client = Client()
    client.force_login(author)
    response = client.get(reverse("cms_ai_images:spending"), asked)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


# -- The chart ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [(0, [0, 1, 2]), (3, [0, 2, 4]), (7, [0, 4, 8]), (11, [0, 10, 20]), (2340, [0, 1500, 3000]), (95, [0, 50, 100])],
)
def test_a_scale_ends_in_a_round_number(largest: int, ticks: list[int]) -> None:
    chart = charts.columns([("", "", largest)])
    assert [tick["value"] for tick in chart["ticks"]] == ticks
    assert [tick["y"] for tick in chart["ticks"]] == ["100.00%", "50.00%", "0.00%"]


def test_columns_lie_side_by_side_within_the_width() -> None:
    bars = charts.columns([(str(number), "", number) for number in range(36)])["bars"]
    edges = [(float(bar["x"][:-1]), float(bar["x"][:-1]) + float(bar["width"][:-1])) for bar in bars]
    assert edges == sorted(edges)
    assert 0 < edges[0][0] < edges[-1][1] < 100
    assert all(right <= left for (_left, right), (left, _right) in pairwise(edges))
    assert [bar["label"] for bar in bars if bar["label"]] == [str(number) for number in range(0, 36, 3)]


def test_places_are_told_with_a_point_in_every_language() -> None:
    with override("de"):
        assert charts.share(1, 3) == "33.33%"
