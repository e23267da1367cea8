"""What the example site starts with where django CMS is installed: a published page, and editors who may change it."""

from __future__ import annotations

from cms.api import add_plugin, create_page
from cms.models import PageContent
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

SLUG = "about"
TEXT = (
    "<p>The Harbour Courier has been made up, printed and thrown away every week since the pier was built. Its three "
    "editors share one desk, one bicycle and an opinion on herring.</p>"
)
PERMISSIONS = [
    *(f"cms.{action}_{model}" for model in ("page", "cmsplugin") for action in ("add", "change", "view")),
    "cms.publish_page",
    "cms.use_structure",
    "cms.delete_cmsplugin",
    *(f"djangocms_text.{action}_text" for action in ("add", "change", "delete", "view")),
    *(f"cms_ai_images_djangocms_plugin.{action}_aiimage" for action in ("add", "change", "delete", "view")),
]


@transaction.atomic
def seed_pages() -> None:
    """The permissions, and the page on a site that has none. Call it after the people are there."""
    group = Group.objects.get(name="Editor")
    group.permissions.add(*map(_permission, PERMISSIONS + _versioning_permissions()))
    if PageContent.admin_manager.exists():
        return
    editor = User.objects.get(username="editor")
    page = create_page("About the Courier", "cms/page.html", "en", slug=SLUG, created_by=editor, in_navigation=True)
    page.set_as_homepage(editor)
    content = PageContent.admin_manager.get(page=page)
    add_plugin(content.get_placeholders().get(slot="content"), "TextPlugin", "en", body=TEXT)
    if apps.is_installed("djangocms_versioning"):
        content.versions.get().publish(editor)


def _versioning_permissions() -> list[str]:
    if not apps.is_installed("djangocms_versioning"):
        return []
    models, actions = ("version", "pagecontentversion"), ("add", "change", "view")
    return [f"djangocms_versioning.{action}_{model}" for model in models for action in actions]


def _permission(name: str) -> Permission:
    app_label, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app_label, codename=codename)
