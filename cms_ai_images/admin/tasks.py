"""Tasks and their pictures: what was asked for and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_protect

from cms_ai_images import conf, services
from cms_ai_images.admin.filters import ModelFilter, StyleFilter
from cms_ai_images.admin.readonly import USERNAME, ReadOnlyAdmin
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.library.thumbnails import thumbnail_url
from cms_ai_images.models import GeneratedImage, GenerationTask
from cms_ai_images.types import Status

Action = Callable[[Any, GenerationTask], Any]
"""A service that does something with a task for a user."""

BUTTONS: dict[str, Action] = {"_cancel": services.cancel, "_retry": services.retry}
"""Those of a task's page."""

THUMBNAILS = 4
"""Most pictures of a task that its row shows."""


def preview_url(image: GeneratedImage, viewer_id: int | None) -> str:
    """A small picture of what this user may see: library files, and drafts of their own. Empty where there is none."""
    if image.filer_image is not None:
        return thumbnail_url(image.filer_image)
    if image.file and image.task.user_id == viewer_id:
        return reverse("cms_ai_images:image-preview", args=[image.uuid])
    return ""


def library_link(image: GeneratedImage) -> str:
    """A link to the library file of a picture."""
    if image.filer_image is None:
        return "–"
    meta = image.filer_image._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[image.filer_image.pk])
    return format_html('<a href="{}">{}</a>', url, image.filer_image.label)


class GeneratedImageInline(admin.TabularInline):
    """The pictures of a task."""

    model = GeneratedImage
    fk_name = "task"
    fields = ("index", "seed", "width", "height", "byte_size", "review_state", "in_library")
    readonly_fields = fields
    extra = 0
    max_num = 0
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are a record."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[GeneratedImage]:
        """With what the link needs."""
        return super().get_queryset(request).select_related("filer_image")

    @admin.display(description=_("library file"))
    def in_library(self, image: GeneratedImage) -> str:
        """Where it is now."""
        return library_link(image)


@admin.register(GenerationTask)
class GenerationTaskAdmin(ReadOnlyAdmin):
    list_display = [
        "short_prompt",
        "status",
        "user",
        "created_at",
        "model_label",
        "preset_label",
        "operation",
        "attempt",
        "error_code",
    ]
    list_filter = ["status", "created_at", ModelFilter, StyleFilter, "operation"]
    list_select_related = ["user"]
    search_fields = ["=uuid", f"^user__{USERNAME}", "request__prompt"]
    search_help_text = _("Words of the prompt, a user name, or a task's id.")
    inlines = [GeneratedImageInline]
    actions = ["cancel_tasks", "retry_tasks"]
    fieldsets = [
        (None, {"fields": ["uuid", "status", "user", "short_prompt", "operation", "error_code", "error_message"]}),
        (_("What was asked for"), {"fields": ["request", "parameters", "fingerprint", "auto_accept", "parent"]}),
        (_("With what"), {"fields": ["model", "model_label", "model_revision", "preset_version", "preset_label"]}),
        (
            _("Queue"),
            {
                "fields": [
                    "pool",
                    "priority",
                    "available_at",
                    "worker",
                    "attempt",
                    "failures",
                    "device_losses",
                    "lease_expires_at",
                    "deadline_at",
                    "cancel_requested_at",
                    "backend_state",
                ]
            },
        ),
        (_("Points"), {"fields": ["cost", "charge_round"]}),
        (_("Made for"), {"fields": ["origin_type", "origin_id", "origin_field"]}),
        (_("Dates"), {"fields": ["created_at", "started_at", "finished_at"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: GenerationTask | None = None) -> Any:
        """Without points while they are not counted."""
        sets = super().get_fieldsets(request, obj)
        return sets if conf.get("CREDITS") else [each for each in sets if "cost" not in each[1]["fields"]]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GenerationTask]:
        """Authors see their own history, whoever has the permission everybody's."""
        tasks = super().get_queryset(request).prefetch_related("images__filer_image")
        return tasks if services.sees_all(request.user) else tasks.filter(user=request.user.pk)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Authors find their history in the admin's index."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: GenerationTask | None = None) -> bool:
        """Their own tasks, or everybody's."""
        if services.sees_all(request.user):
            return True
        return request.user.has_perm(services.PERMISSION) and (obj is None or obj.user_id == request.user.pk)

    @admin.display(description=_("prompt"))
    def short_prompt(self, task: GenerationTask) -> str:
        """The start of the author's words."""
        return Truncator(task.prompt).chars(80)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """With the pictures that this user may see."""

        @admin.display(description=_("pictures"))
        def pictures(task: GenerationTask) -> str:
            sources = [source for image in task.images.all() if (source := preview_url(image, request.user.pk))]
            markup = '<img src="{}" alt="" height="48" loading="lazy">'
            return format_html_join(" ", markup, ((source,) for source in sources[:THUMBNAILS])) or "–"

        prompt, *others = self.list_display
        return [prompt, pictures, *others]

    @method_decorator(csrf_protect)
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """With what its buttons do. Whether that is still possible, whatever the page has shown, the service says."""
        if action := next((action for name, action in BUTTONS.items() if name in request.POST), None):
            task = self.get_object(request, unquote(object_id or ""))
            if task is not None and self._may_manage(request, task):
                self._each(request, self.get_queryset(request).filter(uuid=task.uuid), action)
                return HttpResponseRedirect(request.get_full_path())
        return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: GenerationTask | None = None,
    ) -> HttpResponse:
        """With a button for what can be done with the task."""
        if obj is not None and self._may_manage(request, obj):
            context["can_cancel"] = not obj.is_final
            context["can_retry"] = obj.status in (Status.FAILED, Status.CANCELLED)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _may_manage(self, request: HttpRequest, task: GenerationTask) -> bool:
        try:
            services.check_manager(request.user, task)
        except AIImagesError:
            return False
        return self.has_view_permission(request, task)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Authors may stop and repeat their own tasks, operators anybody's; who may only look is offered no action."""
        may = request.user.has_perm
        return may(services.PERMISSION) or may("cms_ai_images.change_generationtask")

    @admin.action(description=_("Cancel the selected tasks"), permissions=["operate"])
    def cancel_tasks(self, request: HttpRequest, queryset: QuerySet[GenerationTask]) -> None:
        """Each through the service; what is already over is left alone."""
        self._each(request, queryset, services.cancel)

    @admin.action(description=_("Retry the selected tasks"), permissions=["operate"])
    def retry_tasks(self, request: HttpRequest, queryset: QuerySet[GenerationTask]) -> None:
        """Each through the service; only failed and cancelled ones can be retried."""
        self._each(request, queryset, services.retry)

    def _each(self, request: HttpRequest, queryset: QuerySet[GenerationTask], action: Action) -> None:
        done = 0
        for task in queryset.select_related("model"):
            try:
                action(request.user, task)
                done += 1
            except AIImagesError as error:
                messages.error(request, _("Task %(task)s: %(error)s") % {"task": task.uuid, "error": error})
        text = ngettext("%(count)d task was changed.", "%(count)d tasks were changed.", done) % {"count": done}
        messages.info(request, text)


@admin.register(GeneratedImage)
class GeneratedImageAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "review_state", "width", "height", "seed", "in_library", "created_at"]
    list_filter = ["review_state", "output_format"]
    list_select_related = ["task", "filer_image"]
    search_fields = ["=uuid", "=task__uuid", f"^task__user__{USERNAME}"]
    readonly_fields = ["in_library", "draft"]
    fieldsets = [
        (None, {"fields": ["uuid", "task", "index", "review_state", "in_library", "draft", "parent"]}),
        (_("File"), {"fields": ["output_format", "width", "height", "byte_size", "sha256", "seed", "safety_verdict"]}),
        (_("Dates"), {"fields": ["created_at", "reviewed_at"]}),
    ]

    @admin.display(description=_("draft"))
    def draft(self, image: GeneratedImage) -> str:
        """Its name in the private storage, and no link: drafts are shown to their owner only."""
        return image.file.name or "–"

    @admin.display(description=_("library file"))
    def in_library(self, image: GeneratedImage) -> str:
        """Where it is now."""
        return library_link(image)
