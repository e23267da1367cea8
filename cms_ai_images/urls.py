"""Everything under /ai-images/."""

from django.urls import include, path

app_name = "cms_ai_images"
urlpatterns = [
    path("api/v1/", include("cms_ai_images.api.urls")),
]
