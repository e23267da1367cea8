"""Make the ready-made groups."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cms_ai_images import groups


class Command(BaseCommand):
    help = (
        "Makes the groups Editor, Designer and AI image manager with their permissions. Groups of these names that are "
        "there already stay as they are, unless --update gives them what they lack. Nothing is ever taken away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--update", action="store_true", help="Give groups that are there what they lack.")

    def handle(self, *, update: bool, **options: Any) -> None:
        for group in groups.ensure(update=update):
            self.stdout.write(_told(group))
            for permission in [] if group.created else [*group.added, *group.missing]:
                self.stdout.write(f"  {permission}")


def _told(group: groups.Outcome) -> str:
    """What was done, in a sentence. The permissions of a group that was there follow, each on its own line."""
    count = len(group.added or group.missing)
    if group.created:
        text = ngettext(
            "%(name)s: made, with %(count)d permission.", "%(name)s: made, with %(count)d permissions.", count
        )
    elif group.added:
        text = ngettext(
            "%(name)s: was given %(count)d permission:", "%(name)s: was given %(count)d permissions:", count
        )
    elif group.missing:
        text = ngettext(
            "%(name)s: left as it is. It lacks %(count)d permission, which --update adds:",
            "%(name)s: left as it is. It lacks %(count)d permissions, which --update adds:",
            count,
        )
    else:
        text = _("%(name)s: is complete.")
    return text % {"name": group.name, "count": count}
