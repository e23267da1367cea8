"""URLs of the example site."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("ai-images/", include("cms_ai_images.urls")),
    path("filer/", include("filer.urls")),
]
