"""Puts the button into the editor's toolbars and hands the module its addresses."""

from __future__ import annotations

import json

from django.forms import Script
from django.urls import reverse_lazy
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _
from djangocms_text.editors import (
    DEFAULT_EDITOR,
    DEFAULT_TOOLBAR_CMS,
    DEFAULT_TOOLBAR_HTMLField,
    register_toolbar_labels,
)

from cms_ai_images import conf

ITEM = "AIImage"
MODULE = Script("cms_ai_images/contrib/djangocms_text.js", type="module")
STYLES = ("cms_ai_images/badge.css", "cms_ai_images/contrib/djangocms_text.css")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" fill="none" stroke="currentColor" '
    'stroke-width="1.25" stroke-linejoin="round" viewBox="0 0 16 16" aria-hidden="true">'
    '<path d="M9 2.5H3A1.5 1.5 0 0 0 1.5 4v8.5A1.5 1.5 0 0 0 3 14h9a1.5 1.5 0 0 0 1.5-1.5V9"/>'
    '<path d="M1.5 11.5 5 8l3 3 1.5-1.5L13 13"/>'
    '<path fill="currentColor" stroke="none" d="M12.5 0l.9 2.6L16 3.5l-2.6.9-.9 2.6-.9-2.6L9 3.5l2.6-.9z"/></svg>'
)


# Translators: a button's name with the number of tasks whose pictures are ready. Keep {label} and {n}.
READY_TEXT = _("{label}, {n} ready")
READY_HINT = _(
    "How many of your requests are ready. A number stays until you use a picture, discard them or choose “Not now”."
)


def _article_fields() -> str:
    return json.dumps(conf.get("ARTICLE_FIELDS"))


article_fields = lazy(_article_fields, str)
"""The setting `ARTICLE_FIELDS` as JSON; read when an editor is rendered."""


def install() -> None:
    """Idempotent. Everything that depends on the language or the URLconf stays lazy until an editor is rendered."""
    if MODULE not in DEFAULT_EDITOR.js:
        DEFAULT_EDITOR.js = (*DEFAULT_EDITOR.js, MODULE)
    for style in STYLES:
        if style not in DEFAULT_EDITOR.admin_css:
            DEFAULT_EDITOR.admin_css = (*DEFAULT_EDITOR.admin_css, style)
    DEFAULT_EDITOR.additional_context.update(
        ai_images_dialog_url=reverse_lazy("cms_ai_images:dialog"),
        ai_images_ready_url=reverse_lazy("cms_ai_images:task-ready"),
        ai_images_ready_text=READY_TEXT,
        ai_images_ready_hint=READY_HINT,
        ai_images_article_fields=article_fields(),
        ai_images_unreachable_text=_("The server does not answer. Please try again in a moment."),
    )
    register_toolbar_labels({ITEM: {"title": _("AI image"), "icon": ICON}})
    for toolbar in (DEFAULT_TOOLBAR_CMS, DEFAULT_TOOLBAR_HTMLField):
        if not any(ITEM in group for group in toolbar):
            toolbar.append([ITEM])
