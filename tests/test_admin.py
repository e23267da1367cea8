"""The plain admin: every page opens, nobody writes history by hand, and bad input is a message at its field."""

from __future__ import annotations

import json

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from filer.models import Image as FilerImage

from cms_ai_images import tokens
from cms_ai_images.library import intake
from cms_ai_images.models import (
    CreditAccount,
    CreditEntry,
    GenerationModel,
    GenerationTask,
    GroupLimits,
    StylePreset,
    UserPreference,
    WebhookDelivery,
    WebhookEndpoint,
)
from cms_ai_images.types import PictureDetails, ReviewState, Status

from .admin_pages import errors_of, form_of, url
from .conftest import logged_in, make_user
from .factories import make_image, make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db


MODELS = [  # a proxy is no table: `Spending` has one page, with tests of its own
    model for model in django_admin.site._registry if model._meta.app_label == "cms_ai_images" and not model._meta.proxy
]
READ_ONLY = {"AuditEntry", "GenerationTask", "GeneratedImage", "WebhookDelivery", "Worker"}
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


@pytest.fixture
def rows(author: User, designer: User) -> None:
    """Each table with a full row and with one whose every optional link is empty."""
    model = make_model(description="Paints gradients.")
    preset = make_preset(groups=(Group.objects.create(name="Writers"),), version={"model": model})
    make_preset("bare", version={})
    StylePreset.objects.create(slug="no-version", name="No version")
    parent = make_task(
        author, model, status=Status.FAILED, error_code="worker_lost", error_message="The worker stopped."
    )
    full = make_task(
        author,
        model,
        status=Status.RUNNING,
        parent=parent,
        preset_version=preset.current_version,
        preset_label="Pencil",
        origin_type=ContentType.objects.get_for_model(GenerationModel),
        origin_id=str(model.pk),
    )
    orphan = make_task(None, model)
    GenerationTask.objects.filter(pk=orphan.pk).update(model=None)
    accepted = make_image(author)
    intake.accept(accepted, PictureDetails())
    make_image(author, task=accepted.task, index=1, parent=accepted)
    make_image(task=orphan, review_state=ReviewState.DISCARDED)
    account = CreditAccount.objects.create(user=author, balance=5)
    CreditAccount.objects.create(group=Group.objects.get())
    CreditEntry.objects.create(account=account, kind="grant", amount=35, created_by=designer)
    CreditEntry.objects.create(account=account, kind="reserve", amount=-30, task_uuid=full.uuid)
    GroupLimits.objects.create(group=Group.objects.get(), active_tasks=0, steps=20)
    make_worker(loaded_models=["dummy"])
    make_worker(stopped_at=full.started_at)
    UserPreference.objects.create(user=author, last={"preset": "pencil"})
    tokens.issue(author, "CI")
    endpoint = WebhookEndpoint.objects.create(name="Newsroom", url="https://example.org/hook", user=author)
    WebhookEndpoint.objects.create(name="Everybody", url="https://example.org/all")
    WebhookDelivery.objects.create(endpoint=endpoint, event="task.failed", task_uuid=parent.uuid, payload={})


# -- Every page --------------------------------------------------------------------------------------------------------


def test_every_table_that_people_look_after_has_a_page() -> None:
    assert {model.__name__ for model in MODELS} == {
        "APIToken",
        "AuditEntry",
        "CreditAccount",
        "CreditEntry",
        "GeneratedImage",
        "GenerationModel",
        "GenerationTask",
        "GroupLimits",
        "StylePreset",
        "UserPreference",
        "WebhookDelivery",
        "WebhookEndpoint",
        "Worker",
    }


@every_model
def test_every_page_opens(admin_browser: Client, rows: None, model: type) -> None:
    assert model.objects.count() >= 1
    changelist = admin_browser.get(url(model, "changelist"))
    assert changelist.status_code == 200
    assert changelist.context["cl"].result_count == model.objects.count()
    for row in model.objects.all():
        page = admin_browser.get(url(model, "change", row.pk))
        assert page.status_code == 200
        assert str(row) in page.content.decode()
        assert admin_browser.get(url(model, "history", row.pk)).status_code == 200
    assert admin_browser.get(url(model, "add")).status_code == (403 if model.__name__ in READ_ONLY else 200)


@every_model
def test_every_list_can_be_searched_with_anything(admin_browser: Client, rows: None, model: type) -> None:
    for words in ("apple", "e3b0c442-98fc-4c14-9afb-f4c8996fb924", "'\"%_\\", "author"):
        assert admin_browser.get(url(model, "changelist"), {"q": words}).status_code == 200


@every_model
def test_staff_without_rights_sees_nothing(rows: None, model: type) -> None:
    client = logged_in(make_user("clerk", is_staff=True))
    row = model.objects.first()
    for address in (url(model, "changelist"), url(model, "add"), url(model, "change", row.pk)):
        assert client.get(address).status_code == 403
    assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("name", ["GenerationTask", "GeneratedImage", "CreditEntry", "StylePreset", "CreditAccount"])
@pytest.mark.local_files  # in S3 easy-thumbnails asks the database for each thumbnail
def test_queries_of_a_list_do_not_grow_with_its_rows(admin_browser: Client, name: str) -> None:
    model = next(model for model in MODELS if model.__name__ == name)
    generation_model = make_model()

    def add(start: int, end: int) -> None:
        for number in range(start, end):
            user = make_user(f"user-{number}")
            preset = make_preset(f"preset-{number}")
            task = make_task(user, generation_model, preset_version=preset.current_version)
            library_file = FilerImage.objects.create(name=f"Picture {number}", sha1="0", _file_size=1)
            make_image(task=task, filer_image=library_file, review_state=ReviewState.ACCEPTED)
            account = CreditAccount.objects.create(user=user)
            CreditEntry.objects.create(account=account, kind="grant", amount=1, created_by=user)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin_browser.get(url(model, "changelist")).status_code == 200
        return len(captured)

    add(0, 5)
    queries()  # fills the cache of content types
    few = queries()
    add(5, 25)
    assert queries() == few


@pytest.mark.parametrize("name", ["GenerationTask", "GeneratedImage", "CreditEntry"])
def test_history_is_not_written_by_hand(admin_browser: Client, rows: None, name: str) -> None:
    model = next(model for model in MODELS if model.__name__ == name)
    row = model.objects.first()
    before = model.objects.filter(pk=row.pk).values().get()
    assert (
        admin_browser.post(url(model, "change", row.pk), {"status": "succeeded", "amount": 9, "seed": 9}).status_code
        == 403
    )
    assert admin_browser.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin_browser.post(url(model, "changelist"), chosen)
    assert model.objects.filter(pk=row.pk).values().get() == before


# -- Models and preferences --------------------------------------------------------------------------------------------


def test_model_is_edited_and_empty_boxes_mean_nothing(admin_browser: Client) -> None:
    model = make_model(prices={"text_to_image": {"standard": 3}})
    address = url(GenerationModel, "change", model.pk)
    emptied = {"weights": "", "options": "", "parameter_limits": "", "prices": ""}
    values = {"default_parameters": '{"steps": 4}', "sizes": "[[128, 128]]", "operations": '["text_to_image"]'}
    assert admin_browser.post(address, {**form_of(admin_browser.get(address)), **emptied, **values}).status_code == 302
    model.refresh_from_db()
    assert (model.prices, model.weights, model.options, model.sizes) == ({}, [], {}, [[128, 128]])
    assert model.default_parameters == {"steps": 4}


def test_qualities_and_prices_are_set_beside_each_other(admin_browser: Client) -> None:
    model = make_model()
    address = url(GenerationModel, "change", model.pk)
    values = {"qualities": '{"high": {"steps": 40}}', "prices": '{"text_to_image": {"standard": 30, "high": 60}}'}
    values |= {"sizes": "[[128, 128]]", "operations": '["text_to_image"]', "weights": "[]"}
    assert admin_browser.post(address, {**form_of(admin_browser.get(address)), **values}).status_code == 302
    model.refresh_from_db()
    assert model.qualities == {"high": {"steps": 40}}
    assert model.price("text_to_image", "high") == 60


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sizes": "[[65, 65]]"}, "sizes"),
        ({"sizes": ""}, "sizes"),
        ({"operations": "[]"}, "operations"),
        ({"options": "{"}, "options"),
        ({"backend": "magic"}, "backend"),
        ({"backend": "diffusers", "source": ""}, "source"),
        ({"default_parameters": '{"steps": 1e999}'}, "default_parameters"),
    ],
)
def test_wrong_model_is_explained_at_its_field(admin_browser: Client, changes: dict[str, str], field: str) -> None:
    model = make_model()
    address = url(GenerationModel, "change", model.pk)
    data = {
        **form_of(admin_browser.get(address)),
        "sizes": "[[64, 64]]",
        "operations": '["text_to_image"]',
        "weights": "[]",
    }
    assert list(errors_of(admin_browser.post(address, {**data, **changes}))) == [field]


def test_preference_with_empty_boxes_can_be_saved(admin_browser: Client, author: User) -> None:
    preference = UserPreference.objects.create(user=author, last={"preset": "pencil"}, favourites=["pencil"])
    address = url(UserPreference, "change", preference.pk)
    assert admin_browser.post(address, {"user": author.pk, "last": "", "favourites": ""}).status_code == 302
    preference.refresh_from_db()
    assert (preference.last, preference.favourites) == ({}, [])


def test_form_helper_posts_json_as_browsers_do(admin_browser: Client) -> None:
    make_model(options={"a": 1})
    data = form_of(admin_browser.get(url(GenerationModel, "change", GenerationModel.objects.get().pk)))
    assert json.loads(data["options"]) == {"a": 1}
