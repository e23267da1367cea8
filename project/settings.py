"""The example site: SQLite, a local folder and an embedded Valkey. `make demo` serves it on loopback only."""

import os
from pathlib import Path
from urllib.parse import quote

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("AI_IMAGES_VAR") or BASE_DIR / "var").resolve()

SECRET_KEY = os.environ.get("SECRET_KEY", "the example site is served on loopback only")
DEBUG = os.environ.get("DEBUG", "") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "easy_thumbnails",
    "filer",
    "django_rq",
    "rest_framework",
    "djangocms_text",
    "djangocms_text.contrib.filer_image",
    "cms_ai_images",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / "db.sqlite3",
        # A claim is a guarded UPDATE: take the write lock at BEGIN, wait for it, and let readers go on (WAL).
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # Drafts are private: outside MEDIA_ROOT, served only to their owner.
    "ai_images_drafts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR / "drafts"},
    },
}
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "media/"
MEDIA_ROOT = VAR / "media"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# A socket in a folder, not a port: jobs in Redis are code to a worker, so no other user of the machine may write there.
REDIS_URL = os.environ.get("REDIS_URL", f"unix://{quote(str(VAR / 'valkey.sock'))}")
RQ_QUEUES = {name: {"URL": REDIS_URL} for name in ("images-high", "images-normal", "images-low")}
RQ = {"COMMIT_MODE": "auto"}  # the app enqueues after the commit itself

# djangocms-text has no migrations to run without django CMS.
MIGRATION_MODULES = {"djangocms_text": None}

CMS_AI_IMAGES: dict = {}
