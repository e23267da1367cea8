"""Who may do what: one permission opens each page, groups narrow what can be chosen, and nobody publishes unasked."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import override_settings
from django.urls import reverse

from cms_ai_images import groups, services
from cms_ai_images.exceptions import ModelNotAvailable, NotPermitted, PresetNotAvailable
from cms_ai_images.models import AuditEntry, GenerationModel, GroupLimits, StylePreset
from cms_ai_images.resolution import models_for, presets_for, resolve
from cms_ai_images.types import GenerationRequest, Operation, Status

from .admin_pages import errors_of, form_of, url
from .conftest import logged_in, make_user
from .factories import make_model, make_preset, make_task, make_worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def writers(author: User) -> Group:
    """A group with `author` in it."""
    group = Group.objects.create(name="Writers")
    author.groups.add(group, Group.objects.create(name="Cyclists"))
    return group


# -- What can be chosen ------------------------------------------------------------------------------------------------


def slugs(rows: Any) -> list[str]:
    return sorted(row.slug for row in rows)


def test_models_are_limited_to_groups(author: User, other_author: User, admin: User, writers: Group) -> None:
    make_model("everybodys")
    limited = make_model("limited")
    limited.groups.set(Group.objects.all())
    assert slugs(models_for(author)) == slugs(models_for(admin)) == ["everybodys", "limited"]
    assert slugs(models_for(other_author)) == ["everybodys"]
    with pytest.raises(ModelNotAvailable):
        resolve(other_author, GenerationRequest(prompt="a boat", model="limited"))
    assert resolve(author, GenerationRequest(prompt="a boat", model="limited")).model == limited


def test_a_limited_model_is_nobody_elses_default(other_author: User, writers: Group) -> None:
    make_model("limited").groups.add(writers)
    open_to_all = make_model("everybodys", position=9)
    with override_settings(CMS_AI_IMAGES={"DEFAULT_MODEL": "limited"}):
        assert resolve(other_author, GenerationRequest(prompt="a boat")).model == open_to_all


def test_a_style_does_not_lend_its_model(author: User, other_author: User, writers: Group) -> None:
    make_model("everybodys")
    limited = make_model("limited")
    limited.groups.add(writers)
    make_preset("open")
    make_preset("with-limited", version={"model": limited})
    assert slugs(presets_for(author)) == ["open", "with-limited"]
    assert slugs(presets_for(other_author)) == ["open"]
    with pytest.raises(PresetNotAvailable):
        resolve(other_author, GenerationRequest(prompt="a boat", preset="with-limited"))
    limited.enabled = False
    limited.save()  # then the style draws with the default model
    assert slugs(presets_for(other_author)) == ["open", "with-limited"]


def test_operations_are_limited_to_groups(author: User, other_author: User, writers: Group) -> None:
    make_model(operations=[Operation.TEXT_TO_IMAGE, Operation.UPSCALE])
    make_worker()
    GroupLimits.objects.create(group=writers, operations=["upscale"])
    request = GenerationRequest(prompt="a boat")
    with pytest.raises(NotPermitted) as error:
        services.request_generation(author, request)
    assert (error.value.field, "Text to image" in str(error.value)) == ("operation", True)
    assert services.request_generation(other_author, request).operation == "text_to_image"
    told = {user: logged_in(user).get(reverse("cms_ai_images:model-list")).json() for user in (author, other_author)}
    operations = {user: [model["operations"] for model in data["results"]] for user, data in told.items()}
    assert operations == {author: [["upscale"]], other_author: [["text_to_image", "upscale"]]}
    GroupLimits.objects.create(group=Group.objects.get(name="Cyclists"), operations=["text_to_image"])
    assert services.request_generation(author, request).operation == "text_to_image"


def test_a_slip_of_the_pen_in_operations_is_explained(admin: User, writers: Group) -> None:
    for wrong in ('["text2image"]', '"upscale"', '{"upscale": 1}', "[["):
        response = logged_in(admin).post(url(GroupLimits, "add"), {"group": writers.pk, "operations": wrong})
        assert list(errors_of(response)) == ["operations"]


def test_what_is_no_longer_ones_own_choice_cannot_be_retried(author: User, admin: User, writers: Group) -> None:
    make_worker()
    task = make_task(author, status=Status.FAILED)
    task.model.groups.add(Group.objects.create(name="Others"))
    with pytest.raises(ModelNotAvailable):
        services.retry(author, task)
    task.model.groups.clear()
    GroupLimits.objects.create(group=writers, operations=["upscale"])
    with pytest.raises(ModelNotAvailable):
        services.retry(author, task)
    assert services.retry(admin, task).status == Status.QUEUED


# -- One permission for each page --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permission", "model"),
    [("manage_presets", StylePreset), ("manage_models", GenerationModel), ("manage_credits", GroupLimits)],
)
def test_one_permission_opens_a_page_and_no_other(permission: str, model: type) -> None:
    client = logged_in(make_user("clerk", f"cms_ai_images.{permission}", is_staff=True))
    for other in (StylePreset, GenerationModel, GroupLimits):
        expected = 200 if other is model else 403
        assert client.get(url(other, "changelist")).status_code == expected
        assert client.get(url(other, "add")).status_code == expected
    assert url(model, "changelist") in client.get(reverse("admin:index")).content.decode()


def test_looking_is_not_changing(author: User) -> None:
    author.user_permissions.add(Permission.objects.get(codename="view_generationmodel"))
    model = make_model()
    client = logged_in(author)
    page = client.get(url(GenerationModel, "change", model.pk))
    assert page.status_code == 200
    assert 'name="label"' not in page.content.decode()
    assert 'name="reason"' not in page.content.decode()
    assert client.post(url(GenerationModel, "change", model.pk), {"label": "Mine"}).status_code == 403


# -- Publishing is approving -------------------------------------------------------------------------------------------


@pytest.fixture
def apprentice() -> User:
    """Manages styles, and may not publish them."""
    return make_user("apprentice", "cms_ai_images.manage_presets", is_staff=True)


def test_only_with_approval_a_style_is_published(apprentice: User, designer: User) -> None:
    preset = make_preset(published=False)
    address = url(StylePreset, "change", preset.pk)
    for user, published in ((apprentice, False), (designer, True)):
        client = logged_in(user)
        data = {**form_of(client.get(address)), "published": "on", "name": f"By {user}"}
        assert client.post(address, data).status_code == 302
        preset.refresh_from_db()
        assert (preset.name, preset.published) == (f"By {user}", published)


def test_without_approval_nothing_published_is_changed(apprentice: User) -> None:
    preset = make_preset()
    client = logged_in(apprentice)
    page = client.get(url(StylePreset, "change", preset.pk))
    assert page.status_code == 200
    assert 'name="prompt_template"' not in page.content.decode()
    assert client.post(url(StylePreset, "change", preset.pk), {"name": "Mine"}).status_code == 403
    assert client.post(url(StylePreset, "delete", preset.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [preset.pk], "post": "yes"}
    client.post(url(StylePreset, "changelist"), chosen)
    preset.refresh_from_db()
    assert preset.name == "Pencil"


def test_the_list_publishes_nothing_without_approval(apprentice: User, designer: User) -> None:
    draft, live = make_preset("draft", published=False), make_preset("live", position=1)

    def save(user: User) -> None:
        rows = logged_in(user).get(url(StylePreset, "changelist")).context["cl"].result_list
        data: dict[str, Any] = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2, "_save": "Save"}
        for number, row in enumerate(rows):
            data |= {f"form-{number}-id": row.pk, f"form-{number}-position": row.position + 5}
            if row == draft:
                data[f"form-{number}-published"] = "on"
        assert logged_in(user).post(url(StylePreset, "changelist"), data).status_code == 302
        draft.refresh_from_db()
        live.refresh_from_db()

    save(apprentice)
    assert (draft.published, draft.position, live.published, live.position) == (False, 5, True, 1)
    save(designer)
    assert (draft.published, live.published, live.position) == (True, False, 6)


# -- The audit trail in the admin --------------------------------------------------------------------------------------


def test_changes_are_told_with_old_and_new_values_and_why(designer: User) -> None:
    model = make_model("quick")
    preset = make_preset(version={"prompt_template": "old {prompt}"})
    client = logged_in(designer)
    address = url(StylePreset, "change", preset.pk)
    group = Group.objects.create(name="Writers")
    change = {"prompt_template": "new {prompt}", "model": model.pk, "groups": [group.pk], "reason": "the campaign"}
    assert client.post(address, {**form_of(client.get(address)), **change}).status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_id, entry.reason) == (
        designer,
        "preset_changed",
        str(preset.pk),
        "the campaign",
    )
    assert entry.details == {
        "event": "changed",
        "changes": {
            "prompt_template": ["old {prompt}", "new {prompt}"],
            "model": [None, "Quick"],
            "groups": [[], ["Writers"]],
        },
    }
    assert client.post(address, form_of(client.get(address))).status_code == 302  # nothing changed
    assert AuditEntry.objects.count() == 1


def test_a_price_is_an_event_of_its_own(admin: User, settings: Any) -> None:
    settings.CMS_AI_IMAGES = {"CREDITS": True}
    model = make_model()
    client = logged_in(admin)
    address = url(GenerationModel, "change", model.pk)
    data = form_of(client.get(address))
    data |= {"sizes": "[[64, 64], [96, 64]]", "operations": '["text_to_image"]', "label": "Other"}
    data |= {"prices": '{"text_to_image": {"standard": 30}}', "weights": "[]"}
    assert client.post(address, data).status_code == 302
    told = {entry.action: entry.details["changes"] for entry in AuditEntry.objects.all()}
    assert told == {
        "model_changed": {"label": ["Dummy", "Other"]},
        "price_changed": {"prices": [{}, {"text_to_image": {"standard": 30}}]},
    }


def test_adding_and_deleting_are_told(designer: User) -> None:
    client = logged_in(designer)
    data = {"name": "Ink", "slug": "ink", "position": 0, "parameters": "{}", "locked": "[]"}
    data |= {"versions-TOTAL_FORMS": 0, "versions-INITIAL_FORMS": 0}
    assert client.post(url(StylePreset, "add"), data).status_code == 302
    preset, other = StylePreset.objects.get(), make_preset("other")
    assert client.post(url(StylePreset, "delete", preset.pk), {"post": "yes"}).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    assert client.post(url(StylePreset, "changelist"), chosen).status_code == 302
    events = [(entry.object_label, entry.details["event"]) for entry in AuditEntry.objects.order_by("pk")]
    assert events == [("Ink", "added"), ("Ink", "deleted"), ("Other", "deleted")]


def test_the_trail_is_read_filtered_and_taken_along(admin: User, author: User, other_author: User) -> None:
    tasks = [make_task(user, status=Status.FAILED) for user in (author, other_author)]
    make_worker()
    for task, user in zip(tasks, (author, other_author), strict=True):
        services.retry(user, task)
        services.cancel(user, task)
    client = logged_in(admin)

    def found(**query: str) -> list[tuple[str, str]]:
        rows = client.get(url(AuditEntry, "changelist"), query).context["cl"].result_list
        return [(entry.actor_label, entry.action) for entry in rows]

    assert len(found()) == 4
    assert found(q="oth") == [("other", "cancelled"), ("other", "retried")]
    assert found(q=str(tasks[0].uuid), action__exact="retried") == [("author", "retried")]
    assert found(object_type="generationtask", object_id=str(tasks[0].uuid)) == found(q="author")
    query = {"action__exact": "cancelled"}
    page = client.get(url(AuditEntry, "changelist"), query).content.decode()
    assert "export/?action__exact=cancelled" in page
    download = client.get(reverse("admin:cms_ai_images_auditentry_export"), query)
    lines = b"".join(download.streaming_content).decode("utf-8-sig").splitlines()
    assert [line.split(",")[1] for line in lines] == ["who", "other", "author"]
    entry = AuditEntry.objects.first()
    assert entry is not None
    for address in (url(AuditEntry, "change", entry.pk), url(AuditEntry, "changelist")):
        assert client.get(address).status_code == 200
    assert client.post(url(AuditEntry, "change", entry.pk), {"reason": "x"}).status_code == 403
    assert client.post(url(AuditEntry, "delete", entry.pk), {"post": "yes"}).status_code == 403


def test_a_download_reads_page_by_page(admin: User, author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from cms_ai_images import audit
    from cms_ai_images.admin import audit as pages

    monkeypatch.setattr(pages, "CHUNK", 2)
    task = make_task(author)
    for number in range(5):
        audit.record(audit.Action.CANCELLED, task, by=author, reason=f"=reason {number}")
    download = logged_in(admin).get(reverse("admin:cms_ai_images_auditentry_export"))
    chunks = [chunk.decode() for chunk in download.streaming_content]
    assert [chunk.count("'=reason") for chunk in chunks] == [0, 2, 2, 1]


def test_a_wrong_filter_leads_back_to_the_list(admin: User) -> None:
    response = logged_in(admin).get(reverse("admin:cms_ai_images_auditentry_export"), {"created_at__gte": "yesterday"})
    assert response.status_code == 302


# -- Ready-made groups -------------------------------------------------------------------------------------------------


def test_groups_are_made_once_and_left_alone(capsys: pytest.CaptureFixture) -> None:
    call_command("ai_images_groups")
    designers = Group.objects.get(name="Designer")
    assert set(Group.objects.values_list("name", flat=True)) == set(groups.GROUPS)
    assert designers.permissions.count() == len(groups.GROUPS["Designer"])
    assert "Designer: made, with " in capsys.readouterr().out
    designers.permissions.remove(groups.find("cms_ai_images.approve"))
    call_command("ai_images_groups")
    out = capsys.readouterr().out
    assert "Editor: is complete." in out
    assert "Designer: left as it is. It lacks 1 permission, which --update adds:\n  cms_ai_images.approve" in out
    assert designers.permissions.count() == len(groups.GROUPS["Designer"]) - 1
    call_command("ai_images_groups", "--update")
    assert "Designer: was given 1 permission:\n  cms_ai_images.approve" in capsys.readouterr().out
    assert designers.permissions.count() == len(groups.GROUPS["Designer"])
