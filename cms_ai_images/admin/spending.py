"""What was spent, by month, person, group and model: a page of sums beside the ledger, and the same as CSV."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cms_ai_images import conf, csv_stream, spending
from cms_ai_images.admin import charts
from cms_ai_images.admin.readonly import ReadOnlyAdmin
from cms_ai_images.models import Spending
from cms_ai_images.spending import MAX_MONTHS, Line, Period, Sums

MAX_CHOICES = 120
"""Months that are offered: ten years."""


class PeriodForm(forms.Form):
    """From which month to which one. Offered are those in which points can have been spent."""

    def __init__(self, data: Any, initial: Period) -> None:
        first, last = min(spending.first_month(), initial.first), initial.last
        offered = Period(first=first, last=last).months[-MAX_CHOICES:]
        choices = [(f"{month:%Y-%m}", date_format(month, "F Y")) for month in reversed(offered)]
        super().__init__(data, initial={"from": f"{initial.first:%Y-%m}", "to": f"{initial.last:%Y-%m}"})
        for name, label in (("from", _("From")), ("to", _("To"))):
            self.fields[name] = forms.TypedChoiceField(label=label, choices=choices, coerce=_month)

    def clean(self) -> dict[str, Any]:
        """In this order, and not too many."""
        data = super().clean() or {}
        if "from" in data and "to" in data:
            number = len(Period(first=data["from"], last=data["to"]).months)
            if not 1 <= number <= MAX_MONTHS:
                text = _("Choose at most %(most)d months, the earlier one first.") % {"most": MAX_MONTHS}
                raise forms.ValidationError(text, code="period")
        return data


@admin.register(Spending)
class SpendingAdmin(ReadOnlyAdmin):
    """One page for the whole table. Who may see it is who manages credits, or who may look at the ledger."""

    def get_urls(self) -> list[Any]:
        """The page and its download; rows have pages in the ledger."""
        view, name = self.admin_site.admin_view, "cms_ai_images_spending"
        return [
            path("", view(self.changelist_view), name=f"{name}_changelist"),
            path("export/", view(self.export), name=f"{name}_export"),
        ]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Where nothing costs points there is nothing to see."""
        may = request.user.has_perm
        allowed = may("cms_ai_images.manage_credits") or may("cms_ai_images.view_creditentry")
        return bool(conf.get("CREDITS")) and allowed

    def has_module_permission(self, request: HttpRequest) -> bool:
        """For the admin's index."""
        return self.has_view_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        """The sums."""
        form, period = self._asked(request)
        months = spending.by_month(period)
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "opts": self.opts,
            "title": _("Spending"),
            "form": form,
            "media": self.media,
            "query": f"?from={period.first:%Y-%m}&to={period.last:%Y-%m}",
            "total": _said(months.points, months.tasks),
            "chart": _chart(months),
            "months": _rows(months, lambda line: date_format(line.key, "F Y")),
            "tables": [
                _table(
                    "users",
                    _("By person"),
                    _("Who asked for the pictures."),
                    _rows(spending.by_user(period), lambda line: line.label or _("Deleted users")),
                ),
                _table(
                    "groups",
                    _("By group that paid"),
                    _("What was charged to the group's own account at that time."),
                    _rows(spending.by_group(period), lambda line: line.label),
                ),
                _table(
                    "members",
                    _("By members of groups"),
                    _(
                        "What the people who are members today have spent, whichever account paid. Somebody in two "
                        "groups counts in both."
                    ),
                    _rows(spending.by_members(period), lambda line: line.label or _("In no group")),
                ),
                _table(
                    "models",
                    _("By model"),
                    _("As it was called at that time."),
                    _rows(spending.by_model(period), lambda line: line.label),
                ),
            ],
        }
        return TemplateResponse(request, "admin/cms_ai_images/spending/change_list.html", context)

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """The same numbers for a spreadsheet: by month, person, account, model and operation."""
        _form, period = self._asked(request)
        name = f"ai-images-spending-{period.first:%Y-%m}-{period.last:%Y-%m}.csv"
        return csv_stream.response(request, name, spending.COLUMNS, spending.table(period))

    def _asked(self, request: HttpRequest) -> tuple[PeriodForm, Period]:
        """The range of the query string; the default one where it says none, or none that can be."""
        if not conf.get("CREDITS"):
            raise Http404
        if not self.has_view_permission(request):
            raise PermissionDenied
        usual = Period.default()
        form = PeriodForm(request.GET if {"from", "to"} & set(request.GET) else None, usual)
        if form.is_valid():
            usual = Period(first=form.cleaned_data["from"], last=form.cleaned_data["to"])
        return form, usual

    class Media:
        css = {"all": ["cms_ai_images/spending.css"]}


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _table(key: str, title: Any, help_text: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"key": key, "title": title, "help": help_text, "rows": rows}


def _rows(sums: Sums, name: Any) -> list[dict[str, Any]]:
    """Lines as the template shows them, with numbers in the reader's notation."""
    largest = max((line.points for line in sums.lines), default=0)
    rows = [_row(line, name(line), charts.share(line.points, largest)) for line in sums.lines]
    if sums.others is not None:
        rows.append(_row(sums.others, _("All others"), ""))
    return rows


def _row(line: Line, name: Any, share: str) -> dict[str, Any]:
    return {"name": name, "tasks": _number(line.tasks), "points": _number(line.points), "share": share}


def _chart(months: Sums) -> dict[str, Any]:
    """A column for each month, and a scale with numbers in the reader's notation."""
    values = []
    for number, line in enumerate(months.lines):
        is_new_year = number == 0 or line.key.month == 1
        tip = f"{date_format(line.key, 'F Y')}: {_said(line.points, line.tasks)}"
        values.append((date_format(line.key, "M y" if is_new_year else "M"), tip, line.points))
    chart = charts.columns(values)
    for tick in chart["ticks"]:
        tick["label"] = _number(tick["value"])
    return chart


def _said(points: int, tasks: int) -> str:
    for_tasks = ngettext("for %(count)s task", "for %(count)s tasks", tasks) % {"count": _number(tasks)}
    of_points = ngettext("%(count)s point", "%(count)s points", points) % {"count": _number(points)}
    return f"{of_points} {for_tasks}"


def _number(value: int) -> str:
    return number_format(value, use_l10n=True, force_grouping=True)
