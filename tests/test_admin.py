"""The plain admin: every page opens, nobody writes history by hand, and bad input is a message at its field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from filer.models import Image as FilerImage

from cms_ai_images import tokens
from cms_ai_images.library import intake
from cms_ai_images.models import (
    AuditEntry,
    CreditAccount,
    CreditEntry,
    GenerationModel,
    GenerationTask,
    GroupLimits,
    StylePreset,
    StylePresetVersion,
    UserPreference,
    WebhookDelivery,
    WebhookEndpoint,
    Worker,
)
from cms_ai_images.types import PictureDetails, ReviewState, Status

from .conftest import make_user
from .factories import make_image, make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db

MODELS = [  # a proxy is no table: `Spending` has one page, with tests of its own
    model for model in django_admin.site._registry if model._meta.app_label == "cms_ai_images" and not model._meta.proxy
]
READ_ONLY = {"AuditEntry", "GenerationTask", "GeneratedImage", "WebhookDelivery", "Worker"}
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


def url(model: type, page: str, *args: Any) -> str:
    return reverse(f"admin:cms_ai_images_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser in which this user is logged in."""

    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def site(client_of, admin: User, settings) -> Client:
    """The administrator's browser, on a site that counts points."""
    settings.CMS_AI_IMAGES = {**settings.CMS_AI_IMAGES, "CREDITS": True}
    return client_of(admin)


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


def form_of(response: HttpResponse) -> dict[str, Any]:
    """What a browser would post back of an admin page if nobody touched it."""
    form = response.context["adminform"].form
    data: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value is not None and value is not False:
            data[field.html_name] = field.field.prepare_value(value) if isinstance(value, dict) else value
    for formset in response.context["inline_admin_formsets"]:
        data |= {f"{formset.formset.prefix}-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return data


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200, "the form was taken"
    return dict(response.context["adminform"].form.errors)


def said(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


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
def test_every_page_opens(site: Client, rows: None, model: type) -> None:
    assert model.objects.count() >= 1
    changelist = site.get(url(model, "changelist"))
    assert changelist.status_code == 200
    assert changelist.context["cl"].result_count == model.objects.count()
    for row in model.objects.all():
        page = site.get(url(model, "change", row.pk))
        assert page.status_code == 200
        assert str(row) in page.content.decode()
        assert site.get(url(model, "history", row.pk)).status_code == 200
    assert site.get(url(model, "add")).status_code == (403 if model.__name__ in READ_ONLY else 200)


@every_model
def test_every_list_can_be_searched_with_anything(site: Client, rows: None, model: type) -> None:
    for words in ("apple", "e3b0c442-98fc-4c14-9afb-f4c8996fb924", "'\"%_\\", "author"):
        assert site.get(url(model, "changelist"), {"q": words}).status_code == 200


@every_model
def test_staff_without_rights_sees_nothing(client_of, rows: None, model: type) -> None:
    client = client_of(make_user("clerk", is_staff=True))
    row = model.objects.first()
    for address in (url(model, "changelist"), url(model, "add"), url(model, "change", row.pk)):
        assert client.get(address).status_code == 403
    assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_authors_see_their_own_tasks_and_no_others(client_of, author: User, other_author: User) -> None:
    mine, theirs = make_task(author, prompt="my pear"), make_task(other_author, prompt="their apple")
    client = client_of(author)
    page = client.get(url(GenerationTask, "changelist"))
    assert "my pear" in page.content.decode()
    assert "their apple" not in page.content.decode()
    assert client.get(url(GenerationTask, "change", mine.pk)).status_code == 200
    assert client.get(url(GenerationTask, "change", theirs.pk)).status_code == 302
    author.user_permissions.add(Permission.objects.get(codename="view_all_tasks"))
    assert client_of(author).get(url(GenerationTask, "change", theirs.pk)).status_code == 200


def test_authors_find_their_tasks_by_style_model_state_and_day(client_of, author: User) -> None:
    preset = make_preset("pencil")
    make_preset("draft", published=False)
    make_model("off", enabled=False)
    make_task(author, prompt="my pear", preset_version=preset.current_version)
    make_task(author, make_model("other"), prompt="my plum", status=Status.FAILED)
    client = client_of(author)

    def found(**query: str) -> list[str]:
        return [task.prompt for task in client.get(url(GenerationTask, "changelist"), query).context["cl"].result_list]

    assert found() == ["my plum", "my pear"]
    assert found(style="pencil") == found(model="dummy") == found(status="queued") == found(q="PEAR my") == ["my pear"]
    assert found(model="other") == found(status__exact="failed") == ["my plum"]
    assert found(created_at__gte="2000-01-01 00:00:00+00:00", created_at__lt="2000-02-01 00:00:00+00:00") == []
    filters = client.get(url(GenerationTask, "changelist")).context["cl"].filter_specs
    offered = {spec.title: [choice for choice, _label in spec.lookup_choices] for spec in filters[2:4]}
    assert {str(title): choices for title, choices in offered.items()} == {
        "model": ["dummy", "other"],
        "style": ["pencil"],
    }


def test_authors_retry_their_own_tasks_in_the_list(client_of, author: User, other_author: User) -> None:
    make_worker()
    mine, theirs = (make_task(user, status=Status.FAILED) for user in (author, other_author))
    assert "1 task was changed." in act(client_of(author), "retry_tasks", mine, theirs).content.decode()
    statuses = {task.pk: task.status for task in GenerationTask.objects.all()}
    assert statuses == {mine.pk: Status.QUEUED, theirs.pk: Status.FAILED}


def test_a_list_shows_library_files_and_the_readers_own_drafts(client_of, author: User, other_author: User) -> None:
    mine, theirs, accepted = make_image(author), make_image(other_author), make_image(other_author)
    library_file = intake.accept(accepted, PictureDetails())
    author.user_permissions.add(Permission.objects.get(codename="view_all_tasks"))
    html = client_of(author).get(url(GenerationTask, "changelist")).content.decode()
    assert f'src="/ai-images/api/v1/images/{mine.uuid}/preview/"' in html
    assert str(theirs.uuid) not in html
    assert f'src="{library_file.file.get_thumbnail({"size": (480, 480)}).url}"' in html


def test_a_style_that_its_model_cannot_do_is_refused(site: Client) -> None:
    make_model(parameter_limits={"steps": [1, 50]})
    form = {"name": "Slow", "slug": "slow", "position": 0, "parameters": '{"steps": 99}', "locked": "[]"}
    form |= {"versions-TOTAL_FORMS": 0, "versions-INITIAL_FORMS": 0}
    page = site.post(url(StylePreset, "add"), form)
    assert page.status_code == 200
    assert "The number of steps must be between 1 and 50." in page.content.decode()
    assert not StylePreset.objects.exists()


def test_prompt_is_found_and_shown_as_text(site: Client, author: User) -> None:
    make_task(author, prompt="<script>alert(1)</script> pear")
    make_task(author)
    page = site.get(url(GenerationTask, "changelist"), {"q": "pear"})
    assert page.context["cl"].result_count == 1
    assert "&lt;script&gt;alert(1)" in page.content.decode()
    assert "<script>alert(1)" not in page.content.decode()


@pytest.mark.parametrize("name", ["GenerationTask", "GeneratedImage", "CreditEntry", "StylePreset", "CreditAccount"])
@pytest.mark.local_files  # in S3 easy-thumbnails asks the database for each thumbnail
def test_queries_of_a_list_do_not_grow_with_its_rows(site: Client, name: str) -> None:
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
            assert site.get(url(model, "changelist")).status_code == 200
        return len(captured)

    add(0, 5)
    queries()  # fills the cache of content types
    few = queries()
    add(5, 25)
    assert queries() == few


# -- Tasks and pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GenerationTask", "GeneratedImage", "CreditEntry"])
def test_history_is_not_written_by_hand(site: Client, rows: None, name: str) -> None:
    model = next(model for model in MODELS if model.__name__ == name)
    row = model.objects.first()
    before = model.objects.filter(pk=row.pk).values().get()
    assert site.post(url(model, "change", row.pk), {"status": "succeeded", "amount": 9, "seed": 9}).status_code == 403
    assert site.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    site.post(url(model, "changelist"), chosen)
    assert model.objects.filter(pk=row.pk).values().get() == before


def test_dead_worker_can_be_removed_and_a_living_one_cannot(site: Client) -> None:
    living, dead = make_worker(), make_worker()
    Worker.objects.filter(pk=dead.pk).update(stopped_at=dead.started_at)
    task = make_task(status=Status.QUEUED, worker=dead)
    assert site.post(url(Worker, "delete", living.pk), {"post": "yes"}).status_code == 403
    assert site.post(url(Worker, "delete", dead.pk), {"post": "yes"}).status_code == 302
    assert list(Worker.objects.all()) == [living]
    task.refresh_from_db()
    assert task.worker is None


def act(client: Client, action: str, *tasks: GenerationTask) -> HttpResponse:
    chosen = {"action": action, "_selected_action": [task.pk for task in tasks]}
    return client.post(url(GenerationTask, "changelist"), chosen, follow=True)


def test_waiting_tasks_are_cancelled_and_finished_ones_explained(site: Client, author: User) -> None:
    waiting, over = make_task(author), make_task(author, status=Status.SUCCEEDED)
    page = act(site, "cancel_tasks", waiting, over).content.decode()
    waiting.refresh_from_db()
    over.refresh_from_db()
    assert (waiting.status, over.status) == (Status.CANCELLED, Status.SUCCEEDED)
    assert "1 task was changed." in page
    assert f"Task {over.uuid}: This is no longer possible: the task is Succeeded." in page


def test_running_task_is_asked_to_stop(site: Client, author: User) -> None:
    task = make_task(author, status=Status.RUNNING)
    act(site, "cancel_tasks", task)
    task.refresh_from_db()
    assert task.status == Status.RUNNING
    assert task.cancel_requested_at is not None


def test_failed_tasks_are_retried_where_a_worker_lives(site: Client, author: User) -> None:
    task = make_task(author, status=Status.FAILED, failures=3, error_code="worker_lost")
    assert "No worker is running" in act(site, "retry_tasks", task).content.decode()
    task.refresh_from_db()
    assert task.status == Status.FAILED

    make_worker()
    assert "1 task was changed." in act(site, "retry_tasks", task).content.decode()
    task.refresh_from_db()
    assert (task.status, task.failures, task.error_code, task.charge_round) == (Status.QUEUED, 0, "", 2)


def test_who_may_only_look_changes_no_task_of_others(client_of, author: User) -> None:
    watcher = make_user("watcher", "cms_ai_images.view_generationtask", is_staff=True)
    task = make_task(author)
    act(client_of(watcher), "cancel_tasks", task)
    task.refresh_from_db()
    assert task.status == Status.QUEUED
    assert "cancel_tasks" not in client_of(watcher).get(url(GenerationTask, "changelist")).content.decode()


def test_operator_changes_everybody_s_tasks(client_of, author: User) -> None:
    permissions = [f"cms_ai_images.{verb}_generationtask" for verb in ("view", "change")]
    operator = make_user("operator", *permissions, is_staff=True)
    task = make_task(author)
    assert "1 task was changed." in act(client_of(operator), "cancel_tasks", task).content.decode()
    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_draft_of_somebody_is_not_linked(site: Client, author: User) -> None:
    image = make_image(author)
    for address in (
        url(type(image), "change", image.pk),
        url(type(image), "changelist"),
        url(GenerationTask, "change", image.task_id),
    ):
        page = site.get(address).content.decode()
        assert f'href="{image.file.url}"' not in page
        assert f'src="{image.file.url}"' not in page


# -- The media library -------------------------------------------------------------------------------------------------


def test_library_file_and_task_lead_to_each_other(site: Client, author: User) -> None:
    image = make_image(author)
    accepted = intake.accept(image, PictureDetails(name="Apple"))
    file_page = reverse("admin:filer_image_change", args=[accepted.pk])
    task_page = url(GenerationTask, "change", image.task_id)

    assert f'<a href="{task_page}">{image.task}</a>' in site.get(file_page).content.decode()
    assert f'<a href="{file_page}">Apple</a>' in site.get(task_page).content.decode()
    assert f'<a href="{file_page}">Apple</a>' in site.get(url(type(image), "change", image.pk)).content.decode()


def test_library_file_from_elsewhere_has_a_dash(site: Client, author: User) -> None:
    accepted = intake.accept(make_image(author), PictureDetails())
    GenerationTask.objects.all().delete()
    page = site.get(reverse("admin:filer_image_change", args=[accepted.pk]))
    assert page.status_code == 200
    assert '<div class="readonly">–</div>' in page.content.decode()


# -- Presets -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def studio(client_of, designer: User) -> Client:
    """The designer's browser."""
    return client_of(designer)


def test_designer_makes_a_preset_with_its_first_version(studio: Client, designer: User) -> None:
    model = make_model()
    page = studio.get(url(StylePreset, "add"))
    values = {
        "name": "Ink",
        "slug": "ink",
        "published": "on",
        "prompt_template": "ink drawing of {prompt}",
        "parameters": '{"steps": 6, "width": 96, "height": 64}',
        "locked": '["steps", "model"]',
        "model": model.pk,
    }
    assert studio.post(url(StylePreset, "add"), {**form_of(page), **values}).status_code == 302
    version = StylePreset.objects.get(slug="ink").current_version
    assert (version.number, version.created_by, version.model) == (1, designer, model)
    assert (version.parameters, version.locked) == ({"steps": 6, "width": 96, "height": 64}, ["steps", "model"])


def test_saving_makes_a_version_only_when_something_changed(studio: Client) -> None:
    values = {"prompt_template": "ink", "parameters": {"steps": 3}, "locked": ["steps"], "model": make_model()}
    preset = make_preset(version=values)
    address = url(StylePreset, "change", preset.pk)

    def save(**changes: Any) -> StylePresetVersion:
        assert studio.post(address, {**form_of(studio.get(address)), **changes}).status_code == 302
        preset.refresh_from_db()
        return preset.current_version

    assert save().number == 1
    assert save(name="Quill", description="Fine lines").number == 1
    assert preset.name == "Quill"
    assert save(prompt_template="quill").number == 2
    assert (preset.current_version.parameters, preset.current_version.locked) == ({"steps": 3}, ["steps"])
    emptied = save(parameters="", locked="", model="")
    assert (emptied.number, emptied.parameters, emptied.locked, emptied.model) == (3, {}, [], None)
    assert StylePresetVersion.objects.count() == 3


def test_editing_the_list_makes_no_version(studio: Client) -> None:
    preset = make_preset(published=False)
    data = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": preset.pk,
        "form-0-published": "on",
        "form-0-position": 7,
        "_save": "Save",
    }
    assert studio.post(url(StylePreset, "changelist"), data).status_code == 302
    preset.refresh_from_db()
    assert (preset.published, preset.position, preset.versions.count()) == (True, 7, 1)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"parameters": '{"steps": '}, "parameters", "valid JSON"),
        ({"parameters": "[6]"}, "parameters", "JSON object"),
        ({"parameters": '{"stepz": 6}'}, "parameters", "stepz"),
        ({"parameters": '{"steps": "many"}'}, "parameters", "steps"),
        ({"parameters": '{"steps": true}'}, "parameters", "steps"),
        ({"parameters": '{"guidance_scale": NaN}'}, "parameters", "guidance_scale"),
        ({"parameters": '{"negative_prompt": 5}'}, "parameters", "negative_prompt"),
        ({"parameters": '{"output_format": "bmp"}'}, "parameters", "output_format"),
        ({"locked": "steps"}, "locked", "valid JSON"),
        ({"locked": '["steps"]'}, "locked", "set above"),
        ({"locked": '{"steps": 1}'}, "locked", "set above"),
        ({"locked": '[["model"]]'}, "locked", "set above"),
        ({"model": "999"}, "model", "valid choice"),
        ({"slug": "taken"}, "slug", "already exists"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_wrong_preset_is_explained_at_its_field(
    studio: Client, changes: dict[str, str], field: str, words: str
) -> None:
    make_preset("taken")
    preset = make_preset(version={})
    address = url(StylePreset, "change", preset.pk)
    errors = errors_of(studio.post(address, {**form_of(studio.get(address)), **changes}))
    assert list(errors) == [field]
    assert words in " ".join(errors[field])
    assert preset.versions.count() == 1


def test_designer_sees_the_versions_and_cannot_change_them(studio: Client, author: User) -> None:
    preset = make_preset(version={"prompt_template": "the old words"})
    address = url(StylePreset, "change", preset.pk)
    studio.post(address, {**form_of(studio.get(address)), "prompt_template": "the new words"})
    page = studio.get(address).content.decode()
    assert "the old words" in page
    assert 'name="versions-0-prompt_template"' not in page
    assert studio.post(url(StylePreset, "delete", preset.pk), {"post": "yes"}).status_code == 302
    assert not StylePreset.objects.exists()


def test_queries_of_a_preset_do_not_grow_with_its_versions(studio: Client) -> None:
    preset = make_preset()
    address = url(StylePreset, "change", preset.pk)
    model = make_model()

    def save(number: int) -> None:
        changes = {"prompt_template": f"version {number}", "model": model.pk}
        assert studio.post(address, {**form_of(studio.get(address)), **changes}).status_code == 302

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            studio.get(address)
        return len(captured)

    save(2)
    queries()
    few = queries()
    for number in range(3, 8):
        save(number)
    assert queries() == few


# -- Models ------------------------------------------------------------------------------------------------------------


def test_model_is_edited_and_empty_boxes_mean_nothing(site: Client) -> None:
    model = make_model(prices={"text_to_image": {"standard": 3}})
    address = url(GenerationModel, "change", model.pk)
    emptied = {"weights": "", "options": "", "parameter_limits": "", "prices": ""}
    values = {"default_parameters": '{"steps": 4}', "sizes": "[[128, 128]]", "operations": '["text_to_image"]'}
    assert site.post(address, {**form_of(site.get(address)), **emptied, **values}).status_code == 302
    model.refresh_from_db()
    assert (model.prices, model.weights, model.options, model.sizes) == ({}, [], {}, [[128, 128]])
    assert model.default_parameters == {"steps": 4}


def test_qualities_and_prices_are_set_beside_each_other(site: Client) -> None:
    model = make_model()
    address = url(GenerationModel, "change", model.pk)
    values = {"qualities": '{"high": {"steps": 40}}', "prices": '{"text_to_image": {"standard": 30, "high": 60}}'}
    values |= {"sizes": "[[128, 128]]", "operations": '["text_to_image"]', "weights": "[]"}
    assert site.post(address, {**form_of(site.get(address)), **values}).status_code == 302
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
def test_wrong_model_is_explained_at_its_field(site: Client, changes: dict[str, str], field: str) -> None:
    model = make_model()
    address = url(GenerationModel, "change", model.pk)
    data = {**form_of(site.get(address)), "sizes": "[[64, 64]]", "operations": '["text_to_image"]', "weights": "[]"}
    assert list(errors_of(site.post(address, {**data, **changes}))) == [field]


def test_preference_with_empty_boxes_can_be_saved(site: Client, author: User) -> None:
    preference = UserPreference.objects.create(user=author, last={"preset": "pencil"}, favourites=["pencil"])
    address = url(UserPreference, "change", preference.pk)
    assert site.post(address, {"user": author.pk, "last": "", "favourites": ""}).status_code == 302
    preference.refresh_from_db()
    assert (preference.last, preference.favourites) == ({}, [])


# -- Points ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def account(author: User) -> CreditAccount:
    return CreditAccount.objects.create(user=author, balance=100)


def enter(site: Client, account: CreditAccount, kind: str, amount: Any) -> HttpResponse:
    data = {"account": account.pk, "kind": kind, "amount": amount, "note": "July"}
    return site.post(url(CreditEntry, "add"), data)


def test_grant_and_correction_move_the_balance(site: Client, admin: User, account: CreditAccount) -> None:
    assert enter(site, account, "grant", 50).status_code == 302
    assert enter(site, account, "correction", -150).status_code == 302
    account.refresh_from_db()
    assert account.balance == 0
    entries = CreditEntry.objects.order_by("pk")
    assert [(entry.kind, entry.amount, entry.created_by) for entry in entries] == [
        ("grant", 50, admin),
        ("correction", -150, admin),
    ]


@pytest.mark.parametrize(
    ("kind", "amount", "field"),
    [
        ("correction", -101, "amount"),
        ("grant", -1, "amount"),
        ("grant", 0, "amount"),
        ("correction", 0, "amount"),
        ("grant", 2**63 - 1, "amount"),
        ("grant", "much", "amount"),
        ("refund", 5, "kind"),
    ],
)
def test_entry_that_cannot_be_is_explained_at_its_field(
    site: Client, account: CreditAccount, kind: str, amount: Any, field: str
) -> None:
    assert list(errors_of(enter(site, account, kind, amount))) == [field]
    account.refresh_from_db()
    assert account.balance == 100
    assert not CreditEntry.objects.exists()


def test_account_is_of_a_user_or_a_group(site: Client, author: User) -> None:
    errors = errors_of(site.post(url(CreditAccount, "add"), {"user": "", "group": ""}))
    message = ["Choose either a user or a group."]
    assert errors == {"user": message, "group": message}
    assert site.post(url(CreditAccount, "add"), {"user": author.pk, "group": ""}).status_code == 302
    assert CreditAccount.objects.get().balance == 0


def test_entry_needs_a_reason(site: Client, account: CreditAccount) -> None:
    response = site.post(url(CreditEntry, "add"), {"account": account.pk, "kind": "grant", "amount": 5, "note": " "})
    assert list(errors_of(response)) == ["note"]
    assert not CreditEntry.objects.exists()


def test_account_stays_whose_it_is(site: Client, account: CreditAccount, designer: User) -> None:
    address = url(CreditAccount, "change", account.pk)
    assert site.post(address, {"user": designer.pk, "balance": 900, "allowance": 50}).status_code == 302
    owner = account.user
    account.refresh_from_db()
    assert (account.user, account.balance, account.allowance) == (owner, 100, 50)
    assert site.post(url(CreditAccount, "delete", account.pk), {"post": "yes"}).status_code == 403


POINTS = [(CreditAccount, "changelist"), (CreditAccount, "add"), (CreditEntry, "changelist"), (CreditEntry, "add")]


@pytest.mark.parametrize(("model", "page"), POINTS, ids=lambda value: getattr(value, "__name__", value))
def test_while_points_are_not_counted_nothing_of_them_is_seen(client_of, admin: User, model: type, page: str) -> None:
    off = client_of(admin)
    assert off.get(url(model, page)).status_code == 403
    assert "redit" not in off.get(reverse("admin:index")).content.decode()
    assert "points" not in off.get(url(GroupLimits, "add")).content.decode()
    assert "rice" not in off.get(url(GenerationModel, "add")).content.decode()
    assert "oints" not in off.get(url(GenerationTask, "change", make_task().pk)).content.decode()


@pytest.mark.parametrize(("model", "page"), [*POINTS, (GroupLimits, "changelist"), (GroupLimits, "add")])
def test_one_permission_opens_the_pages_of_points_and_limits(client_of, settings, model: type, page: str) -> None:
    settings.CMS_AI_IMAGES = {"CREDITS": True}
    may = make_user("treasurer", "cms_ai_images.manage_credits", is_staff=True)
    may_not = make_user("editor", "cms_ai_images.generate", is_staff=True)
    assert client_of(may).get(url(model, page)).status_code == 200
    assert client_of(may_not).get(url(model, page)).status_code == 403


def test_limits_of_a_group_are_told_in_the_audit_trail(site: Client, admin: User) -> None:
    group = Group.objects.create(name="Sports")
    data = {"group": group.pk, "active_tasks": 3, "task_seconds": 0, "reason": "The cup"}
    assert list(errors_of(site.post(url(GroupLimits, "add"), data))) == ["task_seconds"]
    assert site.post(url(GroupLimits, "add"), {**data, "task_seconds": ""}).status_code == 302
    entry = AuditEntry.objects.get(action=AuditEntry.Action.LIMITS_CHANGED)
    assert (entry.actor, entry.reason, entry.details["changes"]["active_tasks"]) == (admin, "The cup", [None, 3])


def test_entry_page_says_what_it_was_for(site: Client, account: CreditAccount) -> None:
    task = make_task(account.user)
    entry = CreditEntry.objects.create(account=account, kind="reserve", amount=-30, task_uuid=task.uuid, note="")
    page = site.get(url(CreditEntry, "change", entry.pk)).content.decode()
    assert str(task.uuid) in page
    assert "Reserved" in page


def test_form_helper_posts_json_as_browsers_do(site: Client) -> None:
    make_model(options={"a": 1})
    data = form_of(site.get(url(GenerationModel, "change", GenerationModel.objects.get().pk)))
    assert json.loads(data["options"]) == {"a": 1}
