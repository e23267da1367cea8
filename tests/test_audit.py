"""The audit trail: written with what it tells of, in one INSERT, and forgotten as the settings say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from filer.models import Image as FilerImage

from cms_ai_images import audit, conf, credits, erasure, outcomes, services, tokens
from cms_ai_images.exceptions import InsufficientCredits, WorkerLost
from cms_ai_images.library import intake
from cms_ai_images.models import AuditEntry, CreditAccount, CreditEntry, GenerationTask, WebhookEndpoint
from cms_ai_images.models.audit import DELETED_USER
from cms_ai_images.types import GenerationRequest, PictureDetails, Status

from .factories import make_image, make_model, make_task, make_worker

pytestmark = pytest.mark.django_db

PROMPT = "a heron at the pond of Doctor Adams"


def entries(**wanted: Any) -> list[tuple[str, str]]:
    """(action, who) in the order in which it happened."""
    return list(AuditEntry.objects.filter(**wanted).order_by("pk").values_list("action", "actor_label"))


@pytest.fixture
def living() -> None:
    """A model, and a worker that lives, so that requests are taken."""
    make_model()
    make_worker()


# -- What services write -----------------------------------------------------------------------------------------------


def test_the_story_of_a_task_is_told(living: None, author: User, admin: User) -> None:
    task = services.request_generation(author, GenerationRequest(prompt=PROMPT, num_images=2))
    services.cancel(admin, task)
    services.cancel(admin, task)
    task.refresh_from_db()
    services.retry(author, task)
    story = AuditEntry.objects.filter(object_type="generationtask", object_id=str(task.uuid))
    assert entries() == [("generated", "author"), ("cancelled", "admin"), ("retried", "author")]
    assert story.count() == 3
    first = story.last()
    assert first is not None
    assert first.details == {"operation": "text_to_image", "pictures": 2, "style": "", "points": 0}
    assert (first.object_label, first.actor) == ("Dummy", author)


def test_a_running_task_is_cancelled_once(living: None, author: User) -> None:
    task = make_task(author, status=Status.RUNNING)
    services.cancel(author, task)
    task.refresh_from_db()
    assert task.status == Status.RUNNING
    services.cancel(author, task)
    assert entries() == [("cancelled", "author")]


def test_pictures_accepted_and_thrown_away_are_told_once(author: User) -> None:
    kept, unwanted = make_image(author), make_image(author)
    for _ in range(2):
        services.accept(author, kept, PictureDetails(name="Heron"))
        services.discard(author, unwanted)
        kept.refresh_from_db()
    assert entries() == [("accepted", "author"), ("discarded", "author")]
    accepted = AuditEntry.objects.get(action="accepted")
    assert accepted.object_id == str(kept.uuid)
    assert accepted.details == {"task": str(kept.task.uuid), "file": kept.filer_image_id, "at_once": False}


def test_what_is_accepted_at_once_is_its_authors(author: User) -> None:
    image = make_image(task=make_task(author, status=Status.SUCCEEDED, auto_accept=True))
    intake.accept(image, PictureDetails())
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.details["at_once"]) == (author, "accepted", True)


def test_a_retry_in_rqs_pages_is_nobodys(living: None, author: User) -> None:
    services.repeat(make_task(author, status=Status.FAILED))
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name) == (None, "the system")


def test_what_did_not_happen_is_not_told(living: None, author: User) -> None:
    GenerationTask.objects.all().delete()
    make_model("dear", prices={"text_to_image": {"standard": 5}})
    with override_settings(CMS_AI_IMAGES={"CREDITS": True}), pytest.raises(InsufficientCredits):
        services.request_generation(author, GenerationRequest(prompt=PROMPT, model="dear"))
    with pytest.raises(RuntimeError), transaction.atomic():
        services.request_generation(author, GenerationRequest(prompt=PROMPT))
        raise RuntimeError
    assert (entries(), GenerationTask.objects.count()) == ([], 0)


def test_an_event_costs_one_insert(author: User) -> None:
    task = make_task(author)
    with CaptureQueriesContext(connection) as queries:
        audit.record(audit.Action.CANCELLED, task, by=author)
    assert [query["sql"].split()[0] for query in queries] == ["INSERT"]


def test_no_prompt_and_no_secret_is_written_down(living: None, author: User) -> None:
    services.request_generation(author, GenerationRequest(prompt=PROMPT))
    model = make_model("remote")
    old = {"api_key": "sk-1", "nested": [{"password": "sk-2", "tokens": 5}], "access_token": "sk-3"}
    audit.record(audit.Action.MODEL_CHANGED, model, by=author, changes={"options": [old, {}], "secret": ["sk-4", ""]})
    everything = str(list(AuditEntry.objects.values()))
    assert PROMPT not in everything
    assert "sk-" not in everything
    assert AuditEntry.objects.get(action="model_changed").details["changes"]["options"][0]["nested"][0]["tokens"] == 5


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan"),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        (timedelta(seconds=1), "P0DT00H00M01S"),
        (object, "<class 'object'>"),
        (None, None),
    ],
)
def test_any_value_can_be_told(value: Any, told: Any) -> None:
    assert audit.plain(value) == told


def test_rows_are_told_by_their_names() -> None:
    writers = Group.objects.create(name="Writers")
    assert audit.plain({"groups": [Group.objects.all(), writers]}) == {"groups": [["Writers"], "Writers"]}


def test_an_entry_cannot_be_changed(author: User) -> None:
    entry = audit.record(audit.Action.CANCELLED, make_task(author), by=author)
    entry.reason = "because"
    with pytest.raises(ValidationError):
        entry.save()
    entry.refresh_from_db()
    assert entry.reason == ""


# -- Retention ---------------------------------------------------------------------------------------------------------


def test_old_entries_are_purged_where_the_setting_says(author: User, monkeypatch: Any, capsys: Any) -> None:
    task = make_task(author)
    ages = [0, 29, 31, 32, 400]
    for days in ages:
        entry = audit.record(audit.Action.CANCELLED, task, by=author)
        AuditEntry.objects.filter(pk=entry.pk).update(created_at=timezone.now() - timedelta(days=days))
    call_command("ai_images_purge")
    assert AuditEntry.objects.count() == len(ages)
    monkeypatch.setattr(audit, "BATCH", 2)
    with override_settings(CMS_AI_IMAGES={"AUDIT_RETENTION_DAYS": 30}):
        call_command("ai_images_purge")
    assert AuditEntry.objects.count() == 2
    assert "Purged audit entries: 3." in capsys.readouterr().out


# -- Somebody is deleted -----------------------------------------------------------------------------------------------


@pytest.fixture
def past(author: User, other_author: User) -> GenerationTask:
    """A finished task of somebody with a picture in the library, and what the trail tells of it."""
    task = make_task(author, status=Status.SUCCEEDED, prompt=PROMPT, negative_prompt="Doctor Adams")
    task.request["negative_prompt"] = "Doctor Adams"
    task.save()
    services.accept(author, make_image(task=task), PictureDetails())
    services.discard(other_author, make_image(other_author))
    return task


def deleted(user: User, choice: str) -> None:
    with override_settings(CMS_AI_IMAGES={"DELETED_USER_PROMPTS": choice}):
        user.delete()


def test_keep_forgets_nothing_but_the_row(author: User, past: GenerationTask) -> None:
    deleted(author, "keep")
    past.refresh_from_db()
    assert (past.user, past.prompt, past.parameters["prompt"]) == (None, PROMPT, PROMPT)
    assert entries() == [("accepted", "author"), ("discarded", "other")]
    assert AuditEntry.objects.get(action="accepted").actor is None


def test_anonymise_forgets_the_name(author: User, past: GenerationTask) -> None:
    deleted(author, "anonymise")
    past.refresh_from_db()
    assert (past.user, past.prompt) == (None, PROMPT)
    assert entries() == [("accepted", DELETED_USER), ("discarded", "other")]
    assert AuditEntry.objects.get(action="accepted").actor_name == "deleted user"


def test_anonymise_forgets_the_name_where_something_is_about_the_person(author: User, admin: User) -> None:
    account = CreditAccount.objects.create(user=author)
    entry = CreditEntry(account=account, kind=CreditEntry.Kind.GRANT, amount=5, note="July")
    credits.grant(entry, by=admin)
    tokens.issue(author, "author's laptop", by=admin)
    tokens.issue(admin, "server", by=admin)
    deleted(author, "anonymise")
    account.refresh_from_db()
    assert (account.label, account.balance) == (DELETED_USER, 5)
    assert "author" not in str(list(AuditEntry.objects.values()))
    assert {token.details.get("user") for token in AuditEntry.objects.filter(action="token_created")} == {None, "admin"}


def test_anonymise_forgets_the_name_among_the_values_of_a_form(author: User, other_author: User, admin: User) -> None:
    """Whose account was opened, and whose tasks a webhook was told of."""
    client = Client()
    client.force_login(admin)
    with override_settings(CMS_AI_IMAGES={"CREDITS": True}):
        for user in (author, other_author):
            data = {"user": user.pk, "group": "", "allowance": 5}
            assert client.post(reverse("admin:cms_ai_images_creditaccount_add"), data).status_code == 302
    hook = WebhookEndpoint.objects.create(name="hook", url="https://example.org/")
    told = [[None, author.username], [author.username, other_author.username], [None, admin.username]]
    for pair in told:
        audit.record(audit.Action.WEBHOOK_CHANGED, hook, by=admin, changes={"user": pair})
    deleted(author, "anonymise")
    pairs = [entry.details["changes"]["user"] for entry in AuditEntry.objects.order_by("pk")]
    others = [[None, "other"], [None, DELETED_USER], [DELETED_USER, "other"], [None, "admin"]]
    assert pairs == [[None, DELETED_USER], *others]


def test_remove_forgets_the_prompts_wherever_they_are(
    author: User, other_author: User, past: GenerationTask, monkeypatch: Any
) -> None:
    theirs = make_task(other_author, prompt=PROMPT)
    for _ in range(3):
        make_task(author, status=Status.FAILED, prompt=PROMPT)
    assert PROMPT in FilerImage.objects.get().description
    monkeypatch.setattr(erasure, "BATCH", 2)
    deleted(author, "remove")
    tasks = GenerationTask.objects.filter(user=None)
    assert tasks.count() == 4
    for task in tasks:
        assert "Adams" not in str([task.request, task.parameters])
        assert task.fingerprint == ""
        assert task.parameters["steps"] == 2
    assert PROMPT not in FilerImage.objects.get().description
    assert "Task" in FilerImage.objects.get().description
    theirs.refresh_from_db()
    assert theirs.prompt == PROMPT
    assert theirs.fingerprint


def test_remove_ends_what_still_waits_or_runs(author: User) -> None:
    waiting = make_task(author, prompt=PROMPT)
    running = make_task(author, status=Status.RUNNING, prompt=PROMPT)
    deleted(author, "remove")
    waiting.refresh_from_db()
    running.refresh_from_db()
    assert (waiting.status, running.status) == (Status.CANCELLED, Status.RUNNING)
    assert outcomes.failed(running, running.fence, WorkerLost()) == Status.CANCELLED  # and is not drawn again


def test_remove_costs_the_same_for_any_number_of_tasks(author: User, other_author: User) -> None:
    def queries(user: User, tasks: int) -> int:
        for _ in range(tasks):
            make_task(user, status=Status.FAILED)
        with CaptureQueriesContext(connection) as captured:
            deleted(user, "remove")
        return len(captured)

    assert queries(author, 2) == queries(other_author, 40)


def test_people_who_are_deleted_together_are_forgotten_each(author: User, other_author: User) -> None:
    for user in (author, other_author):
        services.discard(user, make_image(user))
    with override_settings(CMS_AI_IMAGES={"DELETED_USER_PROMPTS": "anonymise"}):
        User.objects.all().delete()
    assert entries() == [("discarded", DELETED_USER)] * 2


def test_a_wrong_choice_is_refused_rather_than_ignored() -> None:
    with override_settings(CMS_AI_IMAGES={"DELETED_USER_PROMPTS": "removed"}), pytest.raises(ImproperlyConfigured):
        conf.get("DELETED_USER_PROMPTS")
