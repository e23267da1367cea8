"""Looks at everything a picture needs on its way, and says how to mend what is not right.

Each part is tried for real: the database is asked, files are written to both storages, read and deleted again.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable, Iterator
from enum import StrEnum

from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _
from filer.models import Image
from redis.exceptions import RedisError

from cms_ai_images import conf, health
from cms_ai_images.backends import get_backend_class
from cms_ai_images.connections import get_redis
from cms_ai_images.exceptions import AIImagesError, BackendNotInstalled
from cms_ai_images.models import GenerationModel

logger = logging.getLogger(__name__)


class Level(StrEnum):
    """How bad it is: pictures come, pictures may not come, pictures do not come."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one part, and where it is not right how to mend it."""

    part: str
    level: Level = Level.OK
    detail: str = ""
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Every part in the order in which a request needs it. A part that cannot be examined is a finding too."""
    database = list(_examined(check_database, _("database")))
    yield from database
    messages = list(_examined(check_settings, _("settings")))
    yield from messages
    if _has_errors(messages):
        return  # all that follows is read from them
    yield from _examined(check_storages, _("storage"))
    if _has_errors(database):
        return  # all that follows is in the database
    for part, check in [(_("people"), check_people), (_("models"), check_models), (_("queue"), check_pools)]:
        yield from _examined(check, part)


def _has_errors(findings: list[Finding]) -> bool:
    return any(finding.level == Level.ERROR for finding in findings)


def _examined(check: Callable[[], Iterator[Finding]], part: str) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:
        logger.exception("The %s could not be examined.", part)
        yield Finding(part=part, level=Level.ERROR, detail=_said(error), mend=_("The log has the whole story."))


def check_database() -> Iterator[Finding]:
    """It answers, and has the tables of this version."""
    part = _("database")
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        mend = _("Start the database, or correct DATABASES: address, name, user, password.")
        yield Finding(part=part, level=Level.ERROR, detail=_said(error), mend=mend)
        return
    if missing:
        detail = _("%(count)d migrations are not applied.") % {"count": len(missing)}
        yield Finding(part=part, level=Level.ERROR, detail=detail, mend="manage.py migrate")
        return
    yield Finding(part=part, detail=connection.display_name)


def check_settings() -> Iterator[Finding]:
    """What `manage.py check` says of this app."""
    messages = [message for message in checks.run_checks() if (message.id or "").startswith("cms_ai_images.")]
    for message in messages:
        level = Level.ERROR if message.level >= checks.ERROR else Level.WARNING
        yield Finding(part=_("settings"), level=level, detail=message.msg, mend=message.hint or "")
    if not messages:
        yield Finding(part=_("settings"), detail="CMS_AI_IMAGES")


def check_storages() -> Iterator[Finding]:
    """Drafts and library: a file can be written, read and deleted."""
    library = Image._meta.get_field("file").storages["public"]
    alias = conf.get("DRAFT_STORAGE")
    for part, setting, storage in [
        (_("draft storage"), f"STORAGES[{alias!r}]", storages[alias]),
        (_("library storage"), "STORAGES['default'] / FILER_STORAGES", library),
    ]:
        yield _try_storage(part, setting, storage)


def _try_storage(part: str, setting: str, storage: Storage) -> Finding:
    content = uuid.uuid4().bytes
    step = _("write")
    try:
        name = storage.save(f"ai-images-doctor-{uuid.uuid4().hex}", ContentFile(content))
        step = _("read")
        with storage.open(name) as file:
            if file.read() != content:
                raise OSError(_("it returns other bytes than were written"))
        step = _("delete")
        storage.delete(name)
    except Exception as error:  # noqa: BLE001 - each storage backend has errors of its own, and this is where they are told
        detail = _("%(step)s: %(error)s") % {"step": step, "error": _said(error)}
        mend = _("Check %(setting)s: address, bucket or folder, credentials, and the right to read, write and delete.")
        return Finding(part=part, level=Level.ERROR, detail=detail, mend=mend % {"setting": setting})
    return Finding(part=part, detail=_("write, read and delete work"))


def check_people() -> Iterator[Finding]:
    """Somebody may use it."""
    users = get_user_model()._default_manager.with_perm(
        "cms_ai_images.generate", backend="django.contrib.auth.backends.ModelBackend", include_superusers=False
    )
    count = users.count()
    if not count:
        detail = _("Only superusers may make pictures.")
        mend = _("Give the permission “Can generate AI images” to a group of editors.")
        yield Finding(part=_("people"), level=Level.WARNING, detail=detail, mend=mend)
    else:
        yield Finding(part=_("people"), detail=_("%(count)d may make pictures") % {"count": count})


def check_models() -> Iterator[Finding]:
    """Each enabled model's backend and files, without loading it."""
    models = list(GenerationModel.objects.filter(enabled=True))
    if not models:
        mend = _("Add one in the admin, under “Generation models”.")
        yield Finding(part=_("models"), level=Level.ERROR, detail=_("No model is enabled."), mend=mend)
    for model in models:
        part = _("model “%(label)s”") % {"label": model.label}
        try:
            get_backend_class(model.backend).check(model.spec())
        except BackendNotInstalled as error:
            mend = _("Fine on a web server. Run this command on the worker's machine as well.")
            yield Finding(part=part, level=Level.WARNING, detail=str(error), mend=mend)
        except (AIImagesError, ImproperlyConfigured) as error:
            mend = _("Correct the model in the admin, or restore its files.")
            yield Finding(part=part, level=Level.ERROR, detail=str(error), mend=mend)
        else:
            yield Finding(part=part, detail=model.source)


def check_pools() -> Iterator[Finding]:
    """For each pool that an enabled model draws in: Redis answers, and a worker lives."""
    for pool in sorted(set(GenerationModel.objects.filter(enabled=True).values_list("pool", flat=True))):
        part = _("queue “%(pool)s”") % {"pool": pool}
        try:
            get_redis(pool).ping()
        except RedisError as error:
            mend = _(
                "Start Redis or Valkey, or correct RQ_QUEUES: address, password, certificate. What is asked for "
                "meanwhile is kept."
            )
            yield Finding(part=part, level=Level.ERROR, detail=_said(error), mend=mend)
        else:
            yield Finding(part=part, detail=_("Redis answers"))
        part = _("workers of “%(pool)s”") % {"pool": pool}
        state = health.check(pool)
        counts = _("%(workers)d alive, %(queued)d tasks waiting") % {"workers": state.workers, "queued": state.queued}
        if state.workers:
            yield Finding(part=part, detail=counts)
        else:
            mend = f"manage.py ai_images_worker --pool {pool}"
            yield Finding(part=part, level=Level.ERROR, detail=counts, mend=mend)


def _said(error: BaseException) -> str:
    """The error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
