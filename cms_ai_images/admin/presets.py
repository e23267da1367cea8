"""Style presets: saving a change makes a new version, so that old pictures keep theirs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cms_ai_images.admin.managing import ManagedAdmin, ReasonForm
from cms_ai_images.exceptions import InvalidRequest
from cms_ai_images.models import AuditEntry, GenerationModel, StylePreset, StylePresetVersion
from cms_ai_images.models.shapes import PARAMETERS, wrong_parameters
from cms_ai_images.presets import VERSION_FIELDS, publish_version
from cms_ai_images.resolution import check_preset


class StylePresetForm(ReasonForm):
    """A preset together with what its current version says."""

    prompt_template = forms.CharField(
        label=_("Prompt template"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text=_("{prompt} stands for the author's words; without it they come first."),
    )
    negative_prompt = forms.CharField(
        label=_("Negative prompt"), required=False, widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})
    )
    parameters = forms.JSONField(
        label=_("Parameters"), required=False, initial=dict, help_text=_('For example {"steps": 20}.')
    )
    locked = forms.JSONField(
        label=_("Locked parameters"),
        required=False,
        initial=list,
        help_text=_('Authors cannot change these: ["steps"].'),
    )
    model = forms.ModelChoiceField(
        label=_("Model"), required=False, queryset=GenerationModel.objects.all(), empty_label=_("The default model")
    )

    class Meta:
        model = StylePreset
        fields = ["name", "slug", "description", "thumbnail", "groups", "published", "position"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if version := self.instance.current_version:
            for name in VERSION_FIELDS:
                self.fields[name].initial = getattr(version, name)

    def clean_parameters(self) -> dict[str, Any]:
        """An object whose names a preset may set."""
        value = self.cleaned_data["parameters"] or {}
        if not isinstance(value, dict):
            raise forms.ValidationError(_("Give a JSON object."), code="preset_parameters")
        if wrong := wrong_parameters(value, PARAMETERS):
            raise forms.ValidationError(
                _("Cannot be used: %(names)s. Possible are %(known)s, each with a value of its kind."),
                code="preset_parameters",
                params={"names": ", ".join(wrong), "known": ", ".join(PARAMETERS)},
            )
        return value

    def clean_locked(self) -> list[str]:
        """Only what the preset sets, or its model, can be locked."""
        value = self.cleaned_data["locked"] or []
        lockable = {*self.cleaned_data.get("parameters", PARAMETERS), "model"}
        if not isinstance(value, list) or not {str(name) for name in value} <= lockable:
            raise forms.ValidationError(
                _("Give a JSON list of parameters that are set above, or “model”."), code="preset_locked"
            )
        return value

    def clean(self) -> dict[str, Any]:
        """What it sets must be possible with its model, or with the default one."""
        cleaned = super().clean() or {}
        model = cleaned.get("model") or GenerationModel.objects.filter(enabled=True).first()
        if model is not None and "parameters" in cleaned:
            try:
                check_preset(cleaned["parameters"], model)
            except InvalidRequest as error:
                self.add_error("parameters", forms.ValidationError(str(error), code=error.code))
        return cleaned


class ListForm(forms.ModelForm):
    """A row of the list for those who may not approve. A disabled field takes nothing that is sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["published"].disabled = True
        self.fields["position"].disabled = self.instance.published


class StylePresetVersionInline(admin.TabularInline):
    """What the preset said before. Read only."""

    model = StylePresetVersion
    fk_name = "preset"
    fields = ("number", *VERSION_FIELDS, "created_by", "created_at")
    readonly_fields = fields
    extra = 0
    max_num = 0
    can_delete = False
    verbose_name_plural = _("versions")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see the preset."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Pictures were made with it."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[StylePresetVersion]:
        """With what each row shows."""
        return super().get_queryset(request).select_related("preset", "model", "created_by")


def may_approve(request: HttpRequest) -> bool:
    """Whether this person decides what authors see."""
    return request.user.has_perm("cms_ai_images.approve")


@admin.register(StylePreset)
class StylePresetAdmin(ManagedAdmin):
    """Whoever may not approve prepares styles. What authors see, the published ones, changes with approval only."""

    manage_permission = "cms_ai_images.manage_presets"
    audit_action = AuditEntry.Action.PRESET_CHANGED
    form = StylePresetForm
    inlines = [StylePresetVersionInline]
    list_display = ["name", "slug", "published", "position", "current_version"]
    list_filter = ["published"]
    list_editable = ["published", "position"]
    list_select_related = ["current_version__preset"]
    search_fields = ["name", "slug", "description"]
    prepopulated_fields = {"slug": ["name"]}
    filter_horizontal = ["groups"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "description", "thumbnail", "published", "position", "groups"]}),
        (_("What it does"), {"fields": list(VERSION_FIELDS), "description": _("Saving a change makes a new version.")}),
    ]

    def has_change_permission(self, request: HttpRequest, obj: StylePreset | None = None) -> bool:
        """A change to a published style is seen at once."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or not obj.published or may_approve(request))

    def has_delete_permission(self, request: HttpRequest, obj: StylePreset | None = None) -> bool:
        """So is its end."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not obj.published or may_approve(request))

    def get_readonly_fields(self, request: HttpRequest, obj: StylePreset | None = None) -> Any:
        """Publishing is approving."""
        fields = super().get_readonly_fields(request, obj)
        return fields if may_approve(request) else [*fields, "published"]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.ModelForm]:
        """Rows of the list carry no version fields, so that editing them there makes no version."""
        return super().get_changelist_form(
            request, form=forms.ModelForm if may_approve(request) else ListForm, **kwargs
        )

    def save_model(self, request: HttpRequest, obj: StylePreset, form: forms.ModelForm, change: bool) -> None:
        """The preset's own row, and a new version where what it does has changed."""
        super().save_model(request, obj, form, change)
        if "prompt_template" in form.cleaned_data:
            publish_version(obj, {name: form.cleaned_data[name] for name in VERSION_FIELDS}, user=request.user)
