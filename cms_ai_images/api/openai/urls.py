"""URLs below the base URL that such a client is given. They have no slash at the end."""

from django.urls import path, re_path

from cms_ai_images.api.openai import views

urlpatterns = [
    path("images/generations", views.generations, name="openai-generations"),
    path("models", views.models, name="openai-models"),
    path("models/<str:name>", views.model, name="openai-model"),
    path("files/<str:signed>", views.file, name="openai-file"),
    re_path("", views.not_offered),
]
