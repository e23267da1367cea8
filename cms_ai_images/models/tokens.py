"""Personal tokens, with which programs use the API in somebody's name."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What a token may do of what its owner may."""

    READ = "read", _("Look at tasks, pictures, styles and models")
    """Every GET."""
    GENERATE = "generate", _("Ask for pictures, cancel, retry and delete tasks, remember settings")
    """Every other method, but for the library."""
    LIBRARY = "library", _("Accept pictures into the media library, and discard drafts")


class APITokenQuerySet(models.QuerySet["APIToken"]):
    def valid(self, now: datetime | None = None) -> APITokenQuerySet:
        """Neither revoked nor expired, and of somebody who may still log in."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=now or timezone.now())
        return self.filter(unexpired, revoked_at=None, user__is_active=True)


class APIToken(models.Model):
    """A token without its secret: of that only the SHA-256 is kept, and its first characters to tell tokens apart."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+"
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Which program uses it, and where."))
    digest = models.CharField(_("SHA-256"), max_length=64, unique=True, editable=False)
    hint = models.CharField(_("begins with"), max_length=12, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Empty: never."))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    objects = APITokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def is_valid(self) -> bool:
        """Whether a request with it is answered, if its user may log in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())
