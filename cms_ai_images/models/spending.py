"""A name of its own for the page that sums the ledger up, so that the admin lists it and links to it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from .credits import CreditEntry


class Spending(CreditEntry):
    """The same rows as `CreditEntry`. Who may see the sums is who may manage credits."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("spending")
        verbose_name_plural = _("spending")
