"""Adds up the ledger and compares it with every balance."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cms_ai_images import credits


class Command(BaseCommand):
    help = "Recomputes every balance from its entries and reports differences; ends with status 1 where there are any."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--repair` corrects what differs."""
        parser.add_argument("--repair", action="store_true", help="Make the balances what their entries add up to.")

    def handle(self, *, repair: bool, **options: Any) -> None:
        """One line for each account that differs."""
        found = left = 0
        for account, booked in credits.differences():
            found += 1
            difference = {"account": account, "balance": account.balance, "booked": booked}
            self.stdout.write(_("%(account)s: the balance is %(balance)d, its entries say %(booked)d") % difference)
            if not repair:
                left += 1
            elif not credits.repair(account):
                left += 1
                self.stderr.write(_("%(account)s: more was spent than came in; add a correction") % difference)
        if left:
            count = ngettext("%(n)d account differs.", "%(n)d accounts differ.", left) % {"n": left}
            raise CommandError(count)
        self.stdout.write(_("All balances are what their entries say.") if not found else _("Repaired."))
