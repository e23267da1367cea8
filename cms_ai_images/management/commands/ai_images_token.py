"""Make a personal API token and print its secret, once; or revoke all that somebody has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cms_ai_images import tokens
from cms_ai_images.models.tokens import Scope


class Command(BaseCommand):
    help = "Makes a personal API token and prints it. It is not kept, so it cannot be printed again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="In whose name the program acts.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="What it may do; can be given several times (default: everything that the user may).",
        )
        parser.add_argument("--name", default="ai_images_token", help="Which program uses it (default: %(default)s).")
        parser.add_argument("--revoke-all", action="store_true", help="Make none, but revoke all that the user has.")
        parser.add_argument("--days", type=int, default=365, help="Validity; 0 is for ever (default: %(default)s).")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()._default_manager
        user = users.filter(**{get_user_model().USERNAME_FIELD: options["username"]}).first()
        if user is None:
            raise CommandError(_("There is no such user."))
        if options["revoke_all"]:
            count = tokens.revoke_all(user)
            self.stdout.write(
                ngettext("%(count)d token revoked.", "%(count)d tokens revoked.", count) % {"count": count}
            )
            return
        if not 0 <= options["days"] <= 36_500:
            raise CommandError(_("--days must be between 0 and 36500."))
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        scopes = options["scope"] or Scope.values
        __, secret = tokens.issue(user, options["name"][:100], scopes=set(scopes), expires_at=expires)
        self.stdout.write(secret)
