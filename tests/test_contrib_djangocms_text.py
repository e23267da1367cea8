"""The toolbar button of djangocms-text: what the editor's page is given."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client, override_settings
from django.urls import reverse
from django.utils.safestring import mark_safe
from djangocms_text.editors import DEFAULT_EDITOR, DEFAULT_TOOLBAR_CMS, DEFAULT_TOOLBAR_HTMLField
from djangocms_text.html import clean_html
from djangocms_text.widgets import TextEditorWidget

from cms_ai_images import bundle
from cms_ai_images.contrib.djangocms_text.checks import check_resolver
from cms_ai_images.contrib.djangocms_text.toolbar import ITEM, install
from tests.conftest import make_user


def settings_of(html: str, name: str) -> dict[str, Any]:
    """The JSON that the widget leaves in the page under an id."""
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


@pytest.fixture
def html() -> str:
    return TextEditorWidget(attrs={"id": "id_body"}).render("body", "", {"id": "id_body"})


def test_the_button_is_in_both_default_toolbars(html: str) -> None:
    assert [ITEM] in DEFAULT_TOOLBAR_CMS
    assert [ITEM] in DEFAULT_TOOLBAR_HTMLField
    toolbar = settings_of(html, "cms-cfg-id_body")["options"]["toolbar"]
    assert [ITEM] in toolbar


def test_the_button_has_a_translatable_name_and_an_icon(html: str) -> None:
    label = settings_of(html, "cms-editor-cfg")["lang"][ITEM]
    assert label["title"] == "AI image"
    assert label["icon"].startswith("<svg")


def test_the_module_is_told_where_the_dialog_is(html: str) -> None:
    assert settings_of(html, "cms-editor-cfg")["ai_images_dialog_url"] == reverse("cms_ai_images:dialog")


def test_the_adapter_is_loaded_as_a_module_that_exists() -> None:
    media = str(TextEditorWidget(add_admin_css=True).media)
    script = re.search(r'<script src="/static/([^"]+djangocms_text\.js)" type="module">', media)
    style = re.search(r'<link href="/static/(cms_ai_images/[^"]+)"', media)
    assert script
    assert style
    assert finders.find(script[1])
    assert finders.find(style[1])


def test_the_module_is_told_what_the_badge_and_the_starts_need(html: str) -> None:
    told = settings_of(html, "cms-editor-cfg")
    assert told["ai_images_ready_url"] == reverse("cms_ai_images:task-ready")
    assert told["ai_images_ready_text"] == "{label}, {n} ready"
    assert "Not now" in told["ai_images_ready_hint"]
    assert json.loads(told["ai_images_article_fields"])["title"] == ["title", "headline", "name"]
    names = {"title": ["heading"], "summary": []}
    with override_settings(CMS_AI_IMAGES={"ARTICLE_FIELDS": names}):
        html = TextEditorWidget(attrs={"id": "id_body"}).render("body", "", {"id": "id_body"})
        assert json.loads(settings_of(html, "cms-editor-cfg")["ai_images_article_fields"]) == names


def test_words_that_look_like_markup_stay_words_in_the_form() -> None:
    stored = mark_safe("<p>&lt;b&gt; &amp; </p>")  # as the field reads it
    html = TextEditorWidget(attrs={"id": "id_body"}).render("body", stored, {"id": "id_body"})
    assert "&lt;p&gt;&amp;lt;b&amp;gt; &amp;amp; &lt;/p&gt;</textarea>" in html


def test_the_sanitizer_keeps_what_is_inserted() -> None:
    figure = (
        '<figure class="ai-image align-left"><img src="/media/fox.png" alt="A fox" data-cms-src="filer.image:1">'
        '<figcaption>By day &lt;b&gt; <span class="credit">The paper</span></figcaption></figure>'
    )
    assert clean_html(figure) == figure
    alone = '<img src="/media/fox.png" alt="" data-cms-src="filer.image:1" class="align-right">'
    assert clean_html(alone) == alone


def test_installing_twice_changes_nothing() -> None:
    before = (DEFAULT_EDITOR.js, DEFAULT_EDITOR.admin_css, list(DEFAULT_TOOLBAR_CMS), list(DEFAULT_TOOLBAR_HTMLField))
    install()
    after = (DEFAULT_EDITOR.js, DEFAULT_EDITOR.admin_css, list(DEFAULT_TOOLBAR_CMS), list(DEFAULT_TOOLBAR_HTMLField))
    assert after == before


def test_a_site_without_the_resolver_is_warned() -> None:
    assert check_resolver() == []
    without = ["cms_ai_images", "cms_ai_images.contrib.djangocms_text", "djangocms_text", "filer", "easy_thumbnails"]
    with override_settings(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *without]):
        assert [message.id for message in check_resolver()] == ["cms_ai_images.W101"]


class TestTheDialogsMarkup:
    """`GET /ai-images/dialog/`: everything that the scripts find by name."""

    url = "/ai-images/dialog/"

    def test_it_has_all_that_the_scripts_ask_for(self, client: Client, author: User) -> None:
        client.force_login(author)
        html = client.get(self.url).content.decode()
        sources = {name: read_static(f"cms_ai_images/{name}.js") for name in MODULES}
        for source in sources.values():
            for kind, name in re.findall(r'\b(part|action)\((?:root|this\.(?:#root|form)), "([\w-]+)"\)', source):
                assert f'data-{kind}="{name}"' in html, name
            for name in re.findall(r'texts\.get\(\s*"(\w+)"', source):
                assert f'data-text="{name}"' in html, name
        assert all(f'data-text="{name}"' in html for name in ("waiting_other", "failed", "cancelled"))

    def test_it_holds_no_inline_script_style_or_handler(self, client: Client, author: User) -> None:
        client.force_login(author)
        html = client.get(self.url).content.decode()
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", html)

    def test_it_tells_where_the_api_is(self, client: Client, author: User) -> None:
        client.force_login(author)
        assert 'data-api-url="/ai-images/api/v1/"' in client.get(self.url).content.decode()

    def test_a_stranger_gets_the_reason(self, client: Client) -> None:
        answer = client.get(self.url)
        assert answer.status_code == 401
        assert b"Log in again" in answer.content
        assert b"<dialog" in answer.content

    @pytest.mark.django_db
    def test_who_may_not_generate_gets_the_reason(self, client: Client) -> None:
        client.force_login(make_user("without"))
        answer = client.get(self.url)
        assert answer.status_code == 403
        assert b"Can generate AI images" in answer.content

    def test_it_is_not_kept_by_caches(self, client: Client) -> None:
        assert "no-store" in client.get(self.url)["Cache-Control"]

    def test_it_can_only_be_read(self, client: Client) -> None:
        assert client.post(self.url).status_code == 405


MODULES = sorted(path.stem for path in bundle.FOLDER.glob("*.js"))


def read_static(path: str) -> str:
    with open(str(finders.find(path))) as file:  # noqa: PTH123
        return file.read()
