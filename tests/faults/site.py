"""The site that bad days happen to."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management import call_command

from cms_ai_images import credits
from cms_ai_images.models import CreditAccount, CreditEntry
from tests.factories import make_model

from .servers import Postgresql, Valkey
from .workers import Workers

POINTS = 1_000_000
PRICES = {"text_to_image": {"standard": 5}}


@dataclasses.dataclass(kw_only=True)
class Site:
    """Its servers, its workers and its authors. `database` is `None` on SQLite."""

    valkey: Valkey
    database: Postgresql | None
    workers: Workers
    authors: list[User]

    def stop(self) -> None:
        """Leave no process behind."""
        self.workers.kill_all()
        self.valkey.stop()


def build(database: Postgresql | None) -> Site:
    """Tables, models of the dummy backend, and authors who can pay."""
    call_command("migrate", verbosity=0)
    valkey = Valkey(settings.VAR)
    valkey.start()
    _model("plain")
    _model("batches", max_batch=4)
    _model("small", max_batch=4, memory=2)
    by = User.objects.create(username="bank")
    return Site(
        valkey=valkey,
        database=database,
        workers=Workers(settings.VAR / "logs"),
        authors=[_author(name, by) for name in ("anna", "berta", "clara")],
    )


def _model(slug: str, **options: Any) -> None:
    make_model(slug, backend="troubled", prices=PRICES, options={"step_seconds": 0.03, **options})


def _author(username: str, by: User) -> User:
    user = User.objects.create(username=username)
    user.user_permissions.add(Permission.objects.get(content_type__app_label="cms_ai_images", codename="generate"))
    account = CreditAccount.objects.create(user=user)
    credits.grant(CreditEntry(account=account, kind=CreditEntry.Kind.GRANT, amount=POINTS), by=by)
    return user
