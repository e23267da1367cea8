"""For every table: an address that asks for what cannot be is answered with a page, not with an error of the server."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DatabaseError, models, transaction
from django.http import HttpRequest

logger = logging.getLogger(__name__)


class RobustChangeList(ChangeList):
    """Django takes any lookup from the address and notices what is wrong while it is built, not when it is tried.

    Only the database knows what it cannot compare with: a zero byte, half a regular expression, a year without an end.
    """

    def get_filters(self, request: HttpRequest) -> Any:
        """The filters. Raises `IncorrectLookupParameters` for a year that no calendar has, too."""
        try:
            return super().get_filters(request)
        except OverflowError as error:
            raise IncorrectLookupParameters(error) from error

    def get_results(self, request: HttpRequest) -> None:
        """Raise `IncorrectLookupParameters`, which leads to the whole list, where what is asked for cannot be found.

        Where nothing is asked for, the address is not to blame, and the error goes on.
        """
        if not self.get_filters_params():
            super().get_results(request)
            return
        try:
            with transaction.atomic(using=self.queryset.db):  # one that is open outlives the refusal
                super().get_results(request)
        except (DatabaseError, ArithmeticError, IndexError, ValueError) as error:
            logger.info("%s cannot be listed: %s", request.get_full_path(), error)
            raise IncorrectLookupParameters(error) from error


class RobustAdmin(admin.ModelAdmin):
    """With such a list, and with forms that pass over what an address proposes in vain."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The class of the list."""
        return RobustChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Nothing holds a zero byte. The list's own form refuses it, the one behind a choice of rows does not."""
        if "\0" in search_term:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address proposes for a new row, without keys that no row can have: widgets look for their rows."""
        proposed = super().get_changeform_initial_data(request)
        return {name: value for name, value in proposed.items() if self._is_possible(name, value)}

    def _is_possible(self, name: str, value: Any) -> bool:
        try:
            field: Any = self.opts.get_field(name)
        except FieldDoesNotExist:
            return True  # the form's own
        if not isinstance(field, models.ForeignKey):
            return True
        while isinstance(field, models.ForeignKey):  # a key may be another table's
            field = field.target_field
        try:
            field.clean(value, None)
        except ValidationError:
            return False
        return True
