"""The example site's articles and the files it serves."""

from __future__ import annotations

import io

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from filer.models import Image as FilerImage
from PIL import Image

from project.articles.models import Article

pytestmark = pytest.mark.django_db


def make_picture(**fields: str) -> FilerImage:
    """A red picture in the media library."""
    data = io.BytesIO()
    Image.new("RGB", (160, 90), "red").save(data, "PNG")
    return FilerImage.objects.create(file=ContentFile(data.getvalue(), "red.png"), **fields)


def make_article(**fields: object) -> Article:
    return Article.objects.create(**{"title": "Boats", "slug": "boats", "published": True, **fields})


def test_the_front_page_lists_published_articles_only(client: Client):
    make_article()
    make_article(title="Secret", slug="secret", published=False)
    page = client.get("/", follow=True)
    assert page.redirect_chain == [("/articles/", 302)]
    assert [article.title for article in page.context["articles"]] == ["Boats"]
    assert client.get("/articles/secret/").status_code == 404


def test_who_may_change_articles_previews_drafts(client: Client, admin: User):
    make_article(title="Secret", slug="secret", published=False)
    client.force_login(admin)
    assert "only editors see this page" in client.get("/articles/secret/").content.decode()


@pytest.mark.local_files
def test_the_hero_image_is_a_thumbnail_with_its_alt_text(client: Client):
    make_article(hero_image=make_picture(default_alt_text='A "red" square', default_caption="Red."))
    page = client.get("/articles/boats/").content.decode()
    assert 'alt="A &quot;red&quot; square"' in page
    assert "<figcaption>Red.</figcaption>" in page
    address = page.split('<figure class="hero">')[1].split('src="')[1].split('"')[0]
    with Image.open(io.BytesIO(b"".join(client.get(address).streaming_content))) as picture:
        assert picture.size == (1280, 720)


def test_an_article_outlives_its_hero_image(client: Client):
    picture = make_picture()
    make_article(hero_image=picture)
    picture.delete()
    assert client.get("/articles/boats/").status_code == 200


def test_the_list_costs_the_same_for_any_number_of_pictures_in_the_texts(client: Client, django_assert_num_queries):
    for number in range(5):
        body = f'<p>Text</p><img data-cms-src="filer.image:{make_picture().pk}">'
        make_article(slug=f"boats-{number}", body=body)
    with django_assert_num_queries(1):
        client.get("/articles/")


def test_a_picture_in_the_text_is_found_again_when_its_file_moved(client: Client):
    picture = make_picture()
    make_article(body=f'<img alt="Red" data-cms-src="filer.image:{picture.pk}" src="/stale.png">')
    page = client.get("/articles/boats/").content.decode()
    assert picture.url in page
    assert "stale" not in page


def test_scripts_in_a_text_are_not_stored():
    article = make_article(body="<p onclick='evil()'>Text</p><script>evil()</script>")
    article.refresh_from_db()
    assert article.body == "<p>Text</p>"


def test_whoever_writes_an_article_first_is_its_author(client: Client, admin: User):
    client.force_login(admin)
    form = {"title": "Boats", "slug": "boats", "summary": "", "body": "<p>Text</p>", "published": "on"}
    assert client.post(reverse("admin:articles_article_add"), form).status_code == 302
    assert Article.objects.get().author == admin


def test_view_on_site_leads_to_the_public_page(client: Client, admin: User):
    article = make_article()
    client.force_login(admin)
    content_type = ContentType.objects.get_for_model(Article).pk
    response = client.get(reverse("admin:view_on_site", args=[content_type, article.pk]))
    assert response.status_code == 302
    assert response["Location"].endswith("/articles/boats/")


def test_pages_forbid_scripts_that_are_not_files_of_this_site(client: Client):
    policy = client.get("/articles/")["Content-Security-Policy"]
    scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe-inline" not in scripts
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_an_uploaded_file_cannot_act_as_a_page_of_this_site(client: Client):
    settings.MEDIA_ROOT.mkdir(exist_ok=True)
    (settings.MEDIA_ROOT / "evil.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><script>evil()</script></svg>'
    )
    response = client.get("/media/evil.svg")
    assert response.status_code == 200
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["../db.sqlite3", "..%2fsecret-key", "/etc/passwd", ""])
def test_only_files_below_the_media_folder_are_served(client: Client, path: str):
    (settings.VAR / "secret-key").write_text("secret")
    assert client.get(f"/media/{path}").status_code in (400, 404)
    (settings.VAR / "secret-key").unlink()
