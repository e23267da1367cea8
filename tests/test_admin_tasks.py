"""Tasks and pictures in the admin: whose they are, what can be done with them, and what leads to the library."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from cms_ai_images.library import intake
from cms_ai_images.models import (
    GenerationTask,
    Worker,
)
from cms_ai_images.types import PictureDetails, Status

from .admin_pages import act, url
from .conftest import logged_in, make_user
from .factories import make_image, make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db


# -- Lists -------------------------------------------------------------------------------------------------------------


def test_authors_see_their_own_tasks_and_no_others(author: User, other_author: User) -> None:
    mine, theirs = make_task(author, prompt="my pear"), make_task(other_author, prompt="their apple")
    client = logged_in(author)
    page = client.get(url(GenerationTask, "changelist"))
    assert "my pear" in page.content.decode()
    assert "their apple" not in page.content.decode()
    assert client.get(url(GenerationTask, "change", mine.pk)).status_code == 200
    assert client.get(url(GenerationTask, "change", theirs.pk)).status_code == 302
    author.user_permissions.add(Permission.objects.get(codename="view_all_tasks"))
    assert logged_in(author).get(url(GenerationTask, "change", theirs.pk)).status_code == 200


def test_authors_find_their_tasks_by_style_model_state_and_day(author: User) -> None:
    preset = make_preset("pencil")
    make_preset("draft", published=False)
    make_model("off", enabled=False)
    make_task(author, prompt="my pear", preset_version=preset.current_version)
    make_task(author, make_model("other"), prompt="my plum", status=Status.FAILED)
    client = logged_in(author)

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


def test_authors_retry_their_own_tasks_in_the_list(author: User, other_author: User) -> None:
    make_worker()
    mine, theirs = (make_task(user, status=Status.FAILED) for user in (author, other_author))
    assert "1 task was changed." in act(logged_in(author), "retry_tasks", mine, theirs).content.decode()
    statuses = {task.pk: task.status for task in GenerationTask.objects.all()}
    assert statuses == {mine.pk: Status.QUEUED, theirs.pk: Status.FAILED}


@pytest.mark.parametrize(
    ("status", "button", "then"),
    [(Status.FAILED, "_retry", Status.QUEUED), (Status.QUEUED, "_cancel", Status.CANCELLED)],
)
def test_a_task_is_retried_or_cancelled_on_its_own_page(author: User, status: str, button: str, then: str) -> None:
    make_worker()
    task = make_task(author, status=status)
    page, client = url(GenerationTask, "change", task.pk), logged_in(author)
    assert f'name="{button}"' in client.get(page).content.decode()
    answer = client.post(page, {button: "1"}, follow=True)
    assert answer.redirect_chain == [(page, 302)]
    assert "1 task was changed." in answer.content.decode()
    assert GenerationTask.objects.get().status == then


def test_a_tasks_page_offers_nothing_to_who_may_only_look(author: User, other_author: User) -> None:
    theirs, done = make_task(other_author, status=Status.FAILED), make_task(author, status=Status.SUCCEEDED)
    author.user_permissions.add(Permission.objects.get(codename="view_all_tasks"))
    client = logged_in(author)
    for task in (theirs, done):
        html = client.get(url(GenerationTask, "change", task.pk)).content.decode()
        assert 'name="_retry"' not in html
        assert 'name="_cancel"' not in html
    assert client.post(url(GenerationTask, "change", theirs.pk), {"_retry": "1"}).status_code == 403
    assert set(GenerationTask.objects.values_list("status", flat=True)) == {Status.FAILED, Status.SUCCEEDED}


def test_the_buttons_of_a_page_work_for_those_who_may_open_it(author: User) -> None:
    operator = make_user("operator", "cms_ai_images.change_generationtask", is_staff=True)
    for task in (make_task(operator), make_task(author)):
        page = url(GenerationTask, "change", task.pk)
        assert logged_in(operator).get(page).status_code in (302, 403)
        assert logged_in(operator).post(page, {"_cancel": "1"}).status_code == 403
    assert set(GenerationTask.objects.values_list("status", flat=True)) == {Status.QUEUED}


@pytest.mark.parametrize(
    ("button", "meanwhile", "word"),
    [
        ("_retry", Status.QUEUED, "Queued"),
        ("_retry", Status.RUNNING, "Running"),
        ("_retry", Status.SUCCEEDED, "Succeeded"),
        ("_cancel", Status.FAILED, "Failed"),
    ],
)
def test_a_button_of_an_old_page_is_answered_with_a_sentence(
    author: User, button: str, meanwhile: str, word: str
) -> None:
    make_worker()
    task = make_task(author, status=meanwhile)
    answer = logged_in(author).post(url(GenerationTask, "change", task.pk), {button: "1"}, follow=True)
    assert f"This is no longer possible: the task is {word}." in answer.content.decode()
    assert GenerationTask.objects.get().status == meanwhile


def test_a_tasks_page_takes_no_button_from_elsewhere(author: User) -> None:
    task = make_task(author, status=Status.FAILED)
    client = Client(enforce_csrf_checks=True)
    client.force_login(author)
    assert client.post(url(GenerationTask, "change", task.pk), {"_retry": "1"}).status_code == 403


def test_a_list_shows_library_files_and_the_readers_own_drafts(author: User, other_author: User) -> None:
    mine, theirs, accepted = make_image(author), make_image(other_author), make_image(other_author)
    library_file = intake.accept(accepted, PictureDetails())
    author.user_permissions.add(Permission.objects.get(codename="view_all_tasks"))
    html = logged_in(author).get(url(GenerationTask, "changelist")).content.decode()
    assert f'src="/ai-images/api/v1/images/{mine.uuid}/preview/"' in html
    assert str(theirs.uuid) not in html
    assert f'src="{library_file.file.get_thumbnail({"size": (480, 480)}).url}"' in html


def test_prompt_is_found_and_shown_as_text(admin_browser: Client, author: User) -> None:
    make_task(author, prompt="<script>alert(1)</script> pear")
    make_task(author)
    page = admin_browser.get(url(GenerationTask, "changelist"), {"q": "pear"})
    assert page.context["cl"].result_count == 1
    assert "&lt;script&gt;alert(1)" in page.content.decode()
    assert "<script>alert(1)" not in page.content.decode()


# -- Tasks and pictures ------------------------------------------------------------------------------------------------


def test_dead_worker_can_be_removed_and_a_living_one_cannot(admin_browser: Client) -> None:
    living, dead = make_worker(), make_worker()
    Worker.objects.filter(pk=dead.pk).update(stopped_at=dead.started_at)
    task = make_task(status=Status.QUEUED, worker=dead)
    assert admin_browser.post(url(Worker, "delete", living.pk), {"post": "yes"}).status_code == 403
    assert admin_browser.post(url(Worker, "delete", dead.pk), {"post": "yes"}).status_code == 302
    assert list(Worker.objects.all()) == [living]
    task.refresh_from_db()
    assert task.worker is None


def test_waiting_tasks_are_cancelled_and_finished_ones_explained(admin_browser: Client, author: User) -> None:
    waiting, over = make_task(author), make_task(author, status=Status.SUCCEEDED)
    page = act(admin_browser, "cancel_tasks", waiting, over).content.decode()
    waiting.refresh_from_db()
    over.refresh_from_db()
    assert (waiting.status, over.status) == (Status.CANCELLED, Status.SUCCEEDED)
    assert "1 task was changed." in page
    assert f"Task {over.uuid}: This is no longer possible: the task is Succeeded." in page


def test_running_task_is_asked_to_stop(admin_browser: Client, author: User) -> None:
    task = make_task(author, status=Status.RUNNING)
    act(admin_browser, "cancel_tasks", task)
    task.refresh_from_db()
    assert task.status == Status.RUNNING
    assert task.cancel_requested_at is not None


def test_failed_tasks_are_retried_where_a_worker_lives(admin_browser: Client, author: User) -> None:
    task = make_task(author, status=Status.FAILED, failures=3, error_code="worker_lost")
    assert "No worker is running" in act(admin_browser, "retry_tasks", task).content.decode()
    task.refresh_from_db()
    assert task.status == Status.FAILED

    make_worker()
    assert "1 task was changed." in act(admin_browser, "retry_tasks", task).content.decode()
    task.refresh_from_db()
    assert (task.status, task.failures, task.error_code, task.charge_round) == (Status.QUEUED, 0, "", 2)


def test_who_may_only_look_changes_no_task_of_others(author: User) -> None:
    watcher = make_user("watcher", "cms_ai_images.view_generationtask", is_staff=True)
    task = make_task(author)
    act(logged_in(watcher), "cancel_tasks", task)
    task.refresh_from_db()
    assert task.status == Status.QUEUED
    assert "cancel_tasks" not in logged_in(watcher).get(url(GenerationTask, "changelist")).content.decode()


def test_operator_changes_everybody_s_tasks(author: User) -> None:
    permissions = [f"cms_ai_images.{verb}_generationtask" for verb in ("view", "change")]
    operator = make_user("operator", *permissions, is_staff=True)
    task = make_task(author)
    assert "1 task was changed." in act(logged_in(operator), "cancel_tasks", task).content.decode()
    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_draft_of_somebody_is_not_linked(admin_browser: Client, author: User) -> None:
    image = make_image(author)
    for address in (
        url(type(image), "change", image.pk),
        url(type(image), "changelist"),
        url(GenerationTask, "change", image.task_id),
    ):
        page = admin_browser.get(address).content.decode()
        assert f'href="{image.file.url}"' not in page
        assert f'src="{image.file.url}"' not in page


# -- The media library -------------------------------------------------------------------------------------------------


def test_library_file_and_task_lead_to_each_other(admin_browser: Client, author: User) -> None:
    image = make_image(author)
    accepted = intake.accept(image, PictureDetails(name="Apple"))
    file_page = reverse("admin:filer_image_change", args=[accepted.pk])
    task_page = url(GenerationTask, "change", image.task_id)

    assert f'<a href="{task_page}">{image.task}</a>' in admin_browser.get(file_page).content.decode()
    assert f'<a href="{file_page}">Apple</a>' in admin_browser.get(task_page).content.decode()
    assert (
        f'<a href="{file_page}">Apple</a>' in admin_browser.get(url(type(image), "change", image.pk)).content.decode()
    )


def test_library_file_from_elsewhere_has_a_dash(admin_browser: Client, author: User) -> None:
    accepted = intake.accept(make_image(author), PictureDetails())
    GenerationTask.objects.all().delete()
    page = admin_browser.get(reverse("admin:filer_image_change", args=[accepted.pk]))
    assert page.status_code == 200
    assert '<div class="readonly">–</div>' in page.content.decode()
