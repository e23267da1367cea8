"""The example site with django CMS beside the articles: `DJANGO_SETTINGS_MODULE=project.settings_cms`.

Needs `pip install "cms-ai-images[cms]"`. `CMS_VERSIONING=1` adds djangocms-versioning, which is a package of its own.
"""

import os

from .settings import *  # noqa: F403
from .settings import CONTENT_SECURITY_POLICY, INSTALLED_APPS, MIDDLEWARE, TEMPLATES, VAR

CMS_VERSIONING = os.environ.get("CMS_VERSIONING") == "1"

ROOT_URLCONF = "project.urls_cms"
SITE_ID = 1

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django.contrib.sites",
    "cms",
    "menus",
    "treebeard",
    "sekizai",
    *(["djangocms_versioning"] if CMS_VERSIONING else []),
    "cms_ai_images.contrib.djangocms_plugin",
]

MIDDLEWARE = [
    *MIDDLEWARE,
    "cms.middleware.user.CurrentUserMiddleware",
    "cms.middleware.page.CurrentPageMiddleware",
    "cms.middleware.toolbar.ToolbarMiddleware",
    "cms.middleware.language.LanguageCookieMiddleware",
]

TEMPLATES[0]["OPTIONS"]["context_processors"] += [
    "django.template.context_processors.i18n",
    "sekizai.context_processors.sekizai",
    "cms.context_processors.cms_settings",
]

# Here djangocms-text has tables: its text plugin.
MIGRATION_MODULES: dict = {}

# A database of its own, so that the same var/ serves both variants.
DATABASES = {"default": {**DATABASES["default"], "NAME": VAR / "cms.sqlite3"}}  # noqa: F405

# django CMS shows its forms in frames of the page that is edited, and its toolbar brings style sheets of its own.
X_FRAME_OPTIONS = "SAMEORIGIN"
CONTENT_SECURITY_POLICY = {
    **CONTENT_SECURITY_POLICY,
    "DIRECTIVES": {
        **CONTENT_SECURITY_POLICY["DIRECTIVES"],
        "frame-ancestors": ["'self'"],
        "style-src-elem": ["'self'", "'unsafe-inline'"],
    },
}

LANGUAGES = [("en", "English")]
CMS_CONFIRM_VERSION4 = True
CMS_PERMISSION = False
CMS_TEMPLATES = [("cms/page.html", "Page")]
# About a release of treebeard that django CMS does not allow yet.
SILENCED_SYSTEM_CHECKS = ["treebeard.E001"]
