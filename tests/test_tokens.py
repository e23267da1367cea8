"""Personal tokens: made once, hashed at rest, scoped, expiring, revocable, and beside the session."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone

from cms_ai_images import tokens
from cms_ai_images.models import APIToken, AuditEntry, GenerationTask
from cms_ai_images.models.tokens import Scope

from .api import url
from .conftest import make_user
from .factories import make_image, make_model, make_task, make_worker


def bearer(user: User, *scopes: str, **fields: Any) -> dict[str, str]:
    """The header of a new token of this user's; every scope unless some are named."""
    _token, secret = tokens.issue(user, "a script", scopes=scopes or Scope.values, **fields)
    return {"Authorization": f"Bearer {secret}"}


def post(client: Client, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Any:
    return client.post(path, json.dumps(data or {}), content_type="application/json", headers=headers)


class TestSecrets:
    def test_only_the_digest_is_kept(self, author: User) -> None:
        token, secret = tokens.issue(author, "a script")
        assert re.fullmatch(r"aii_[\w-]{43}", secret)
        assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
        row = APIToken.objects.values().get()
        assert not [value for value in row.values() if secret in str(value)]
        assert secret.startswith(row["hint"]) and len(row["hint"]) == 10
        assert secret not in str(token) and token.hint in str(token)

    def test_no_two_are_alike(self, author: User) -> None:
        assert len({tokens.issue(author, "a script")[1] for _ in range(50)}) == 50

    def test_unknown_scopes_are_refused(self, author: User) -> None:
        with pytest.raises(ValueError, match="everything"):
            tokens.issue(author, "a script", scopes=["everything"])


class TestAuthentication:
    def test_a_program_needs_no_session_and_no_csrf_token(self, author: User) -> None:
        make_worker()
        make_model()
        client = Client(enforce_csrf_checks=True)
        response = post(client, url("task-list"), {"prompt": "a fox"}, bearer(author))
        assert response.status_code == 202
        assert GenerationTask.objects.get().user == author
        assert response.cookies == {}

    @pytest.mark.parametrize("fault", ["unknown", "empty", "expired", "revoked", "inactive", "odd"])
    def test_what_is_not_valid_is_refused_even_beside_a_session(self, author: User, fault: str) -> None:
        token, secret = tokens.issue(author, "a script")
        client = Client()
        if fault == "unknown":
            secret = secret[:-1] + ("a" if secret[-1] != "a" else "b")
        elif fault == "empty":
            secret = ""
        elif fault == "odd":
            secret = "aii_\u00e9\u20ac two words"
        elif fault == "expired":
            APIToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        elif fault == "revoked":
            assert tokens.revoke(token)
            assert not tokens.revoke(token)
        elif fault == "inactive":
            User.objects.update(is_active=False)
        if fault != "inactive":
            client.force_login(author)
        response = client.get(url("task-list"), headers={"Authorization": f"Bearer {secret}"})
        assert (response.status_code, response.json()["code"]) == (401, "token_invalid")
        assert response["WWW-Authenticate"] == 'Bearer realm="ai-images"'

    def test_no_login_says_how_to_log_in(self, db: None) -> None:
        response = Client().get(url("task-list"))
        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="ai-images"')
        assert response.json()["code"] == "token_missing"
        assert "token" in response.json()["detail"] and "session" not in response.json()["detail"]

    def test_who_had_a_session_is_told_that_it_has_ended(self, author: User, settings: Any) -> None:
        for cookie in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
            client = Client()
            client.cookies[cookie] = "gone"
            response = client.get(url("task-list"))
            assert (response.status_code, response.json()["code"]) == (401, "not_logged_in")
            assert "session has ended" in response.json()["detail"]
        response = Client().get(url("task-list"), headers={"Sec-Fetch-Site": "same-origin"})
        assert response.json()["code"] == "not_logged_in"

    def test_other_schemes_are_somebody_elses(self, author: User) -> None:
        client = Client()
        client.force_login(author)
        assert client.get(url("task-list"), headers={"Authorization": "Basic eDp5"}).status_code == 200

    def test_sites_that_ask_for_a_login_everywhere_let_programs_in(self, author: User, settings: Any) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        task = make_task(author)
        headers = bearer(author)
        for path in (url("task-list"), url("task-detail", task.uuid), url("schema"), url("problems")):
            assert Client().get(path, headers=headers).status_code == 200, path
        assert Client().get(url("task-events", task.uuid), headers=headers).status_code == 204
        assert Client().get(url("task-list")).json()["code"] == "token_missing"

    def test_it_does_not_lend_permissions(self, reader: User) -> None:
        response = Client().get(url("task-list"), headers=bearer(reader))
        assert (response.status_code, response.json()["code"]) == (403, "not_permitted")

    def test_who_asks_is_one_query(self, author: User, django_assert_num_queries: Any) -> None:
        _token, secret = tokens.issue(author, "a script")
        tokens.find(secret)
        with django_assert_num_queries(1):
            assert tokens.find(secret).user.username == "author"

    def test_last_use_is_noted_once_a_minute(self, author: User, django_assert_num_queries: Any) -> None:
        token, secret = tokens.issue(author, "a script")
        tokens.find(secret)
        token.refresh_from_db()
        first = token.last_used_at
        assert first is not None and timezone.now() - first < timedelta(minutes=1)
        tokens.find(secret)
        token.refresh_from_db()
        assert token.last_used_at == first
        APIToken.objects.update(last_used_at=first - timedelta(minutes=2))
        with django_assert_num_queries(2):
            tokens.find(secret)
        token.refresh_from_db()
        assert token.last_used_at >= first


class TestScopes:
    def test_each_view_asks_for_its_own(self, author: User) -> None:
        image = make_image(author)
        uuid = image.task.uuid
        wanted = {
            Scope.READ: [
                ("get", url(name))
                for name in (
                    "task-list", "task-ready", "preset-list", "model-list", "credits", "folder-list", "health",
                    "preferences",
                )
            ]
            + [("get", url("task-detail", uuid)), ("get", url("task-preview", uuid, 0))]
            + [("get", url(name, image.uuid)) for name in ("image-file", "image-preview", "image-download")],
            Scope.GENERATE: [
                ("post", url("task-list")),
                ("post", url("task-cancel", uuid)),
                ("post", url("task-retry", uuid)),
                ("patch", url("preferences")),
                ("post", url("favourite-list")),
                ("delete", url("favourite-detail", "x")),
            ],
            Scope.LIBRARY: [("post", url("image-accept", image.uuid)), ("post", url("image-discard", image.uuid))],
        }  # fmt: skip
        client = Client()
        for scope, calls in wanted.items():
            without = bearer(author, *(set(Scope.values) - {scope}))
            for method, path in calls:
                response = getattr(client, method)(path, headers=without)
                assert (response.status_code, response.json()["code"]) == (403, "scope_missing"), path
                assert scope.value in response.json()["detail"]
        image.refresh_from_db()
        assert image.review_state == "draft"

    def test_one_scope_is_enough_for_its_views(self, author: User) -> None:
        image = make_image(author)
        client = Client()
        assert client.get(url("image-file", image.uuid), headers=bearer(author, "read")).status_code == 200
        assert post(client, url("image-discard", image.uuid), headers=bearer(author, "library")).status_code == 200
        cancelled = post(client, url("task-cancel", make_task(author).uuid), headers=bearer(author, "generate"))
        assert cancelled.json()["status"] == "cancelled"

    def test_pictures_go_into_the_library_at_once_with_its_scope_only(self, author: User) -> None:
        make_worker()
        make_model()
        data = {"prompt": "a fox", "auto_accept": True}
        response = post(Client(), url("task-list"), data, bearer(author, "generate"))
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
        assert post(Client(), url("task-list"), data, bearer(author, "generate", "library")).status_code == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
class TestEvents:
    async def test_a_token_opens_the_stream(self, author: User) -> None:
        task = await sync_to_async(make_task)(author, status="failed")
        headers = await sync_to_async(bearer)(author, "read")
        response = await AsyncClient().get(url("task-events", task.uuid), headers=headers)
        assert response["Content-Type"] == "text/event-stream"
        first = await anext(aiter(response.streaming_content))
        assert str(task.uuid) in first.decode()

    async def test_one_without_the_scope_or_somebody_elses_does_not(self, author: User, other_author: User) -> None:
        task = await sync_to_async(make_task)(author)
        for user, scope, status, code in (
            (author, "generate", 403, "scope_missing"),
            (other_author, "read", 404, "not_found"),
        ):
            headers = await sync_to_async(bearer)(user, scope)
            response = await AsyncClient().get(url("task-events", task.uuid), headers=headers)
            assert (response.status_code, response.json()["code"]) == (status, code)
        response = await AsyncClient().get(url("task-events", task.uuid), headers={"Authorization": "Bearer aii_no"})
        assert (response.status_code, response.json()["code"]) == (401, "token_invalid")
        assert response["WWW-Authenticate"]


class TestCommand:
    def test_prints_the_secret_once(self, author: User) -> None:
        out = StringIO()
        call_command("ai_images_token", "author", "--scope", "read", "--name", "cron", "--days", "7", stdout=out)
        token = tokens.find(out.getvalue().strip())
        assert (token.user, token.name, token.scopes) == (author, "cron", ["read"])
        assert token.expires_at is not None
        assert timedelta(days=6.9) < token.expires_at - timezone.now() <= timedelta(days=7)

    def test_may_do_what_the_user_may_for_a_year_unless_told_otherwise(self, author: User) -> None:
        call_command("ai_images_token", "author", stdout=StringIO())
        call_command("ai_images_token", "author", "--days", "0", stdout=StringIO())
        for_ever, for_a_year = APIToken.objects.all()
        assert for_a_year.scopes == sorted(Scope.values)
        assert for_a_year.expires_at is not None and for_ever.expires_at is None

    def test_revokes_all_that_somebody_has(self, author: User, other_author: User) -> None:
        others, _secret = tokens.issue(other_author, "a script")
        for name in ("one", "two"):
            tokens.issue(author, name)
        out = StringIO()
        call_command("ai_images_token", "author", "--revoke-all", stdout=out)
        assert out.getvalue() == "2 tokens revoked.\n"
        assert [token.pk for token in APIToken.objects.valid()] == [others.pk]
        assert AuditEntry.objects.filter(action="token_revoked").count() == 2

    def test_unknown_users_and_odd_times(self, author: User) -> None:
        with pytest.raises(CommandError, match="no such user"):
            call_command("ai_images_token", "nobody")
        with pytest.raises(CommandError, match="--days"):
            call_command("ai_images_token", "author", "--days", "-1")


class TestAdmin:
    ADD = "admin:cms_ai_images_apitoken_add"
    LIST = "admin:cms_ai_images_apitoken_changelist"

    @pytest.fixture
    def owner(self, author: User) -> User:
        """An author who may have tokens."""
        author.user_permissions.add(Permission.objects.get(codename="add_apitoken"))
        return author

    def login(self, user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    def add(self, client: Client, **data: Any) -> Any:
        form = {"name": "cron", "scopes": ["read"], "expires_at_0": "2099-01-01", "expires_at_1": "00:00:00", **data}
        return client.post(reverse(self.ADD), form)

    def test_the_secret_is_shown_once_and_works(self, owner: User) -> None:
        client = self.login(owner)
        response = self.add(client)
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"]
        (secret,) = re.findall(r'value="(aii_[\w-]{43})"', response.content.decode())
        token = tokens.find(secret)
        assert (token.user, token.scopes, token.name) == (owner, ["read"], "cron")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.details["scopes"]) == ("token_created", owner, ["read"])
        assert secret not in str(AuditEntry.objects.values().get())
        pages = [reverse(self.LIST), reverse("admin:cms_ai_images_apitoken_change", args=[token.pk])]
        for page in pages:
            shown = client.get(page)
            assert shown.status_code == 200
            assert token.hint in shown.content.decode()
            assert secret not in shown.content.decode()

    def test_nobody_makes_one_for_somebody_else_but_superusers(self, owner: User, admin: User) -> None:
        self.add(self.login(owner), user=admin.pk)
        assert APIToken.objects.get().user == owner
        APIToken.objects.all().delete()
        assert self.add(self.login(admin), user=owner.pk).status_code == 200
        assert APIToken.objects.get().user == owner

    def test_one_sees_and_revokes_ones_own(self, owner: User, other_author: User) -> None:
        own, _secret = tokens.issue(owner, "mine")
        others, _secret = tokens.issue(other_author, "theirs")
        client = self.login(owner)
        page = client.get(reverse(self.LIST)).content.decode()
        assert "mine" in page and "theirs" not in page
        client.post(reverse(self.LIST), {"action": "revoke_tokens", "_selected_action": [own.pk, others.pk]})
        own.refresh_from_db()
        others.refresh_from_db()
        assert own.revoked_at is not None and others.revoked_at is None
        entry = AuditEntry.objects.filter(action="token_revoked").get()
        assert (entry.actor, entry.object_id, entry.details) == (owner, str(own.pk), {"user": "author"})

    def test_who_may_look_at_all_revokes_nobody_elses(self, owner: User) -> None:
        auditor = make_user("auditor", "cms_ai_images.view_apitoken", "cms_ai_images.add_apitoken", is_staff=True)
        manager = make_user("manager", "cms_ai_images.change_apitoken", is_staff=True)
        token, _secret = tokens.issue(owner, "mine")
        form = {"action": "revoke_tokens", "_selected_action": [token.pk]}
        client = self.login(auditor)
        assert "mine" in client.get(reverse(self.LIST)).content.decode()
        client.post(reverse(self.LIST), form)
        assert APIToken.objects.get().revoked_at is None
        self.login(manager).post(reverse(self.LIST), form)
        assert APIToken.objects.get().revoked_at is not None

    def test_an_expiry_in_the_past_and_no_scope_are_slips(self, owner: User) -> None:
        client = self.login(owner)
        assert "still to come" in self.add(client, expires_at_0="2001-01-01").content.decode()
        assert self.add(client, scopes=[]).status_code == 200
        assert not APIToken.objects.exists()

    def test_authors_without_the_permission_have_no_such_page(self, author: User) -> None:
        client = self.login(author)
        assert client.get(reverse(self.LIST)).status_code == 403
        assert self.add(client).status_code == 403
