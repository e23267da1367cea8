"""Everything under /ai-images/."""

from django.urls import include, path

from cms_ai_images import views

app_name = "cms_ai_images"
urlpatterns = [
    path("dialog/", views.dialog, name="dialog"),
    path("api/v1/", include("cms_ai_images.api.urls")),
]
