"""URLs of the example site."""

from django.conf import settings
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from .media import media

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="articles:list")),
    path("favicon.ico", RedirectView.as_view(url=static("site/icon.svg"))),
    path("articles/", include("project.articles.urls")),
    path("admin/", admin.site.urls),
    path("ai-images/", include("cms_ai_images.urls")),
    path("filer/", include("filer.urls")),
    path(f"{settings.MEDIA_URL.strip('/')}/<path:path>", media),
]
