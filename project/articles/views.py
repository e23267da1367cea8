"""The public pages."""

from __future__ import annotations

from django.db.models import QuerySet
from django.views.generic import DetailView, ListView

from .models import Article


class ArticleList(ListView):
    """The published articles, newest first."""

    # The text is left in the database: reading it resolves every picture in it, one query each.
    queryset = Article.objects.filter(published=True).select_related("hero_image").defer("body")
    template_name = "articles/list.html"
    context_object_name = "articles"


class ArticleDetail(DetailView):
    """One article; those who may change articles can preview drafts here."""

    template_name = "articles/detail.html"
    context_object_name = "article"

    def get_queryset(self) -> QuerySet[Article]:
        articles = Article.objects.select_related("hero_image", "author")
        if self.request.user.has_perm("articles.change_article"):
            return articles
        return articles.filter(published=True)
