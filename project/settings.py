"""The example site: SQLite, a local folder and an embedded Valkey. `make demo` serves it on loopback only."""

import os
from pathlib import Path
from urllib.parse import quote

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("AI_IMAGES_VAR") or BASE_DIR / "var").resolve()

# `ai_images_demo` keeps a key in var/; without one each process has its own, and nobody stays logged in.
SECRET_KEY_FILE = VAR / "secret-key"
SECRET_KEY = os.environ.get("SECRET_KEY") or (
    SECRET_KEY_FILE.read_text() if SECRET_KEY_FILE.exists() else get_random_secret_key()
)
DEBUG = os.environ.get("DEBUG", "") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

# The defaults of Django plus what it leaves open. No "secure" cookies: loopback has no TLS.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "ai_images_session"  # other sites on this host keep theirs
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
LOGIN_URL = "admin:login"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        # The hash is that of django-filer's "New folder" link, its only handler that matters.
        "script-src": ["'self'", "'unsafe-hashes'", "'sha256-lvpv/2js/nmbdOjGFaxzqF6E1GZvBebuz6/XAxxp2NU='"],
        "img-src": ["'self'", "data:", "blob:"],
        # The hash is that of the style sheet that tiptap puts into the page. It and django-filer also set style
        # attributes; nothing of ours does.
        "style-src": ["'self'"],
        "style-src-elem": ["'self'", "'sha256-PlumsSlvJ7vvWzjqibGAYKq92O3y/4JTxWWsWJvyUYA='"],
        "style-src-attr": ["'unsafe-inline'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

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
    "drf_spectacular_sidecar",
    "djangocms_text",
    "djangocms_text.contrib.filer_image",
    "cms_ai_images",
    "cms_ai_images.contrib.djangocms_text",
    "cms_ai_images.contrib.filer_field",
    "project.articles",
    "project.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
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
# Served from where the packages keep them: nothing to collect before the first page, and edits show at once.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
MEDIA_URL = "media/"
MEDIA_ROOT = VAR / "media"

# django-filer's processor keeps the focal point of a picture in view.
THUMBNAIL_PROCESSORS = [
    "easy_thumbnails.processors.colorspace",
    "easy_thumbnails.processors.autocrop",
    "filer.thumbnail_processors.scale_and_crop_with_subject_location",
    "easy_thumbnails.processors.filters",
]

# Django would mail errors; here they go to the terminal, or to the log that the demo names.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "cms_ai_images": {"level": "INFO"},
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# A socket in a folder, not a port: jobs in Redis are code to a worker, so no other user of the machine may write there.
REDIS_URL = os.environ.get("REDIS_URL", f"unix://{quote(str(VAR / 'valkey.sock'))}")
RQ_QUEUES = {name: {"URL": REDIS_URL} for name in ("images-high", "images-normal", "images-low")}
RQ = {"COMMIT_MODE": "auto"}  # the app enqueues after the commit itself

# djangocms-text has no migrations to run without django CMS.
MIGRATION_MODULES = {"djangocms_text": None}

# One author at a time tries this site; the default of three a minute is for many who share a GPU.
CMS_AI_IMAGES: dict = {
    "LIMITS": {"requests_per_minute": 30},
    # Words that the demo's model knows.
    "PROMPT_EXAMPLES": ["a fox in a meadow", "a castle under a starry night sky", "a panda in the forest"],
}
