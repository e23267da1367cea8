"""Articles in the plain Django admin."""

from __future__ import annotations

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from cms_ai_images.contrib.filer_field.admin import AIImageFieldsMixin

from .models import Article


@admin.register(Article)
class ArticleAdmin(AIImageFieldsMixin, admin.ModelAdmin):
    list_display = ["title", "published", "author", "created_at"]
    list_filter = ["published"]
    search_fields = ["title", "summary"]
    prepopulated_fields = {"slug": ["title"]}
    fields = ["title", "slug", "summary", "hero_image", "body", "published"]
    list_select_related = ["author"]

    def save_model(self, request: HttpRequest, obj: Article, form: ModelForm, change: bool) -> None:
        """Whoever writes an article first is its author."""
        if obj.author is None:
            obj.author = request.user
        super().save_model(request, obj, form, change)
