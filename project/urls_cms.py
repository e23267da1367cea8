"""URLs of the example site with django CMS: the articles stay where they are, pages are under /pages/."""

from django.urls import include, path

from .urls import urlpatterns as site

urlpatterns = [*site, path("pages/", include("cms.urls"))]
