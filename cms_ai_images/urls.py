"""Everything under /ai-images/."""

from django.urls import include, path

from cms_ai_images import views

app_name = "cms_ai_images"
urlpatterns = [
    path("dialog/", views.dialog, name="dialog"),
    path("dialog/code.js", views.script, name="dialog-code"),
    path("dialog/style.css", views.style, name="dialog-style"),
    path("api/v1/", include("cms_ai_images.api.urls")),
    path("openai/v1/", include("cms_ai_images.api.openai.urls")),
]
