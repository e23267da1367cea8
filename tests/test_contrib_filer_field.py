"""The button under filer's image fields in the admin."""

from __future__ import annotations

import re

from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.test import RequestFactory
from filer.fields.image import AdminImageWidget
from filer.models import Image

from cms_ai_images.contrib.filer_field.admin import AIImageFieldsMixin
from cms_ai_images.contrib.filer_field.widgets import AIImageWidget
from project.articles.models import Article


class ArticleAdmin(AIImageFieldsMixin, admin.ModelAdmin):
    pass


class ArticleInline(AIImageFieldsMixin, admin.TabularInline):
    model = Article
    fk_name = "author"


def request_of(user: User) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    return request


def widget_of(model_admin: admin.ModelAdmin | ArticleInline, user: User, name: str = "hero_image") -> object:
    form = (
        model_admin.get_formset(request_of(user)).form
        if isinstance(model_admin, admin.TabularInline)
        else model_admin.get_form(request_of(user))
    )
    widget = form.base_fields[name].widget
    return getattr(widget, "widget", widget)


def test_an_author_gets_the_button(author: User) -> None:
    grant_articles(author)
    assert isinstance(widget_of(ArticleAdmin(Article, admin.site), author), AIImageWidget)


def test_an_inline_gets_the_button(author: User) -> None:
    grant_articles(author)
    assert isinstance(widget_of(ArticleInline(User, admin.site), author), AIImageWidget)


def test_who_may_not_generate_gets_filers_own_widget(reader: User) -> None:
    grant_articles(reader)
    assert type(widget_of(ArticleAdmin(Article, admin.site), reader)) is AdminImageWidget


def test_another_foreign_key_is_left_alone(author: User) -> None:
    grant_articles(author)
    assert not isinstance(widget_of(ArticleAdmin(Article, admin.site), author, "author"), AIImageWidget)


def test_the_markup_is_filers_with_a_button(author: User) -> None:
    grant_articles(author)
    html = ArticleAdmin(Article, admin.site).get_form(request_of(author))()["hero_image"].as_widget()
    assert "filer-widget" in html
    assert re.search(r'<button type="button" class="ai-image-button" data-dialog-url="/ai-images/dialog/"', html)
    assert "Create with AI" in html
    assert 'name="hero_image"' in html


def test_the_field_still_saves(author: User) -> None:
    grant_articles(author)
    image = Image.objects.create(name="picture")
    form = ArticleAdmin(Article, admin.site).get_form(request_of(author), fields=["title", "slug", "hero_image"])
    bound = form({"title": "A", "slug": "a", "hero_image": str(image.pk)})
    assert bound.is_valid(), bound.errors
    assert bound.save().hero_image == image


def test_its_script_and_style_exist() -> None:
    media = str(AIImageWidget(Article._meta.get_field("hero_image").remote_field, admin.site).media)
    script = re.search(r'<script src="/static/(cms_ai_images/[^"]+)" type="module">', media)
    style = re.search(r'<link href="/static/(cms_ai_images/[^"]+)"', media)
    assert script
    assert style
    assert finders.find(script[1])
    assert finders.find(style[1])
    assert "admin-file-widget.bundle.js" in media, "filer's own script fills the widget"


def grant_articles(user: User) -> None:
    """An inline shows no fields to somebody who may not change its model."""
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="articles"))
