"""The django CMS plugin on its own: `TEST_CMS=1`, with django CMS installed. `browser/test_cms.py` is its walk."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.config import Config
from cms.api import add_plugin, create_page
from cms.models import PageContent
from cms.utils.plugins import copy_plugins_to_placeholder
from django.apps import apps
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from easy_thumbnails.files import get_thumbnailer
from filer.models import Image
from PIL import Image as Pictures
from storages.backends.s3 import S3Storage

from cms_ai_images import services
from cms_ai_images.contrib.djangocms_plugin import checks
from cms_ai_images.contrib.djangocms_plugin.forms import AIImageForm
from cms_ai_images.contrib.djangocms_plugin.models import AIImage
from cms_ai_images.contrib.djangocms_plugin.renditions import Renditions, Shape, renditions
from cms_ai_images.contrib.djangocms_plugin.validators import validate_link
from cms_ai_images.types import PictureDetails

from .factories import make_image, make_model, make_task
from .seaweedfs import LIBRARY, s3_storage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    """django CMS keeps what readers get of a page for a minute."""
    cache.clear()


@pytest.fixture
def picture(author: User) -> Image:
    """A library picture of 1440 × 960 pixels, whose focal point is at its right edge."""
    task = make_task(author, make_model(sizes=[[1440, 960]]), status="succeeded")
    details = PictureDetails(alt_text="A pier", caption="By night", focal_point=(1.0, 0.5))
    accepted: Image = services.accept(author, make_image(task=task), details)
    return accepted


@pytest.fixture
def placeholder(admin: User) -> Any:
    """Of a public page at /pages/about/."""
    page = create_page("About", "cms/page.html", "en", slug="about", created_by=admin)
    return PageContent.admin_manager.get(page=page).get_placeholders().get(slot="content")


def shown(client: Client, placeholder: Any, **fields: Any) -> str:
    """What readers get of a plugin."""
    add_plugin(placeholder, "AIImagePlugin", "en", **fields)
    html = client.get("/pages/about/").content.decode()
    return " ".join(re.sub(r".*<div class=\"prose\">(.*)</div>.*", r"\1", html, flags=re.DOTALL).split())


class TestRenditions:
    def test_there_is_one_for_each_width_up_to_the_original(self, picture: Image) -> None:
        found = renditions(picture)
        assert found is not None
        entries = [entry.rsplit(" ", 1) for entry in found.srcset.split(", ")]
        assert [width for _address, width in entries] == ["320w", "640w", "960w", "1280w", "1440w"]
        assert len({address for address, _width in entries}) == 5
        assert (found.src, found.width, found.height) == (picture.url, 1440, 960)

    @pytest.mark.parametrize(
        ("shape", "size"),
        [(Shape.SQUARE, (960, 960)), (Shape.WIDE, (1440, 810)), (Shape.PORTRAIT, (640, 960)), ("", (1440, 960))],
    )
    def test_a_shape_is_the_largest_that_fits(self, picture: Image, shape: str, size: tuple[int, int]) -> None:
        found = renditions(picture, shape)
        assert found is not None
        assert (found.width, found.height) == size

    def test_a_crop_keeps_the_focal_point(self, picture: Image) -> None:
        renditions(picture, Shape.PORTRAIT)
        options = {"size": (320, 480), "crop": True, "subject_location": picture.subject_location}
        thumbnail = get_thumbnailer(picture).get_thumbnail(options)
        with Pictures.open(thumbnail) as crop, Pictures.open(picture.file) as whole:
            right = whole.crop((800, 0, 1440, 960)).resize((320, 480))
            assert crop.size == (320, 480)
            expected, seen = right.convert("RGB").getpixel((300, 240)), crop.convert("RGB").getpixel((300, 240))
        assert all(abs(a - b) < 12 for a, b in zip(expected, seen, strict=True))

    def test_a_small_picture_has_nothing_to_choose_from(self, author: User) -> None:
        small = services.accept(author, make_image(author), PictureDetails())
        assert renditions(small) == Renditions(src=small.url, width=64, height=64)

    def test_a_file_that_is_gone_is_no_reason_to_lose_the_page(self, picture: Image) -> None:
        picture.file.storage.delete(picture.file.name)
        assert renditions(picture) == Renditions(src=picture.url, width=1440, height=960)
        assert renditions(None) is None

    def test_a_storage_that_does_not_answer_is_none_either(
        self, picture: Image, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        at_once = Config(retries={"max_attempts": 0})
        away = S3Storage(**s3_storage("http://127.0.0.1:9", LIBRARY, client_config=at_once)["OPTIONS"])
        monkeypatch.setitem(Image._meta.get_field("file").thumbnail_storages, "public", away)
        found = renditions(Image.objects.get(pk=picture.pk))
        assert found == Renditions(src=picture.url, width=1440, height=960)
        assert "http://127.0.0.1:9" in caplog.text


class TestPage:
    def test_it_shows_picture_texts_and_link(self, client: Client, placeholder: Any, picture: Image) -> None:
        html = shown(client, placeholder, picture=picture, link="/articles/", shape="16:9")
        assert '<a href="/articles/"><img src="' in html
        assert 'sizes="(min-width: 1200px) 1200px, 100vw" width="1440" height="810" alt="A pier"' in html
        assert "<figcaption>By night</figcaption>" in html

    def test_its_own_texts_come_before_the_librarys(self, client: Client, placeholder: Any, picture: Image) -> None:
        html = shown(client, placeholder, picture=picture, alt_text="A <pier>", caption="Today")
        assert 'alt="A &lt;pier&gt;"' in html
        assert "<figcaption>Today</figcaption>" in html

    def test_a_correction_in_the_library_reaches_the_page(
        self, client: Client, placeholder: Any, picture: Image
    ) -> None:
        picture.default_alt_text = "The old pier"
        picture.save()
        assert 'alt="The old pier"' in shown(client, placeholder, picture=picture)

    def test_decorative_is_silent_unless_it_is_a_link(self, client: Client, placeholder: Any, picture: Image) -> None:
        assert 'alt=""' in shown(client, placeholder, picture=picture, decorative=True)
        assert AIImage(picture=picture, decorative=True, link="/articles/").alt == "A pier"

    def test_a_picture_that_left_the_library_leaves_no_gap(
        self, client: Client, placeholder: Any, picture: Image
    ) -> None:
        html = shown(client, placeholder, picture=picture)
        assert "<figure" in html
        picture.delete()
        cache.clear()
        assert "<figure" not in client.get("/pages/about/").content.decode()
        assert AIImage.objects.get().picture is None

    def test_a_copy_of_the_page_has_the_picture(self, placeholder: Any, picture: Image, admin: User) -> None:
        plugin = add_plugin(placeholder, "AIImagePlugin", "en", picture=picture, caption="Today")
        page = create_page("Other", "cms/page.html", "en", slug="other", created_by=admin)
        other = PageContent.admin_manager.get(page=page).get_placeholders().get(slot="content")
        copy_plugins_to_placeholder([plugin], other)
        copied = AIImage.objects.get(placeholder=other)
        assert (copied.picture, copied.caption) == (picture, "Today")


WRONG_LINKS = [
    "javascript:alert(1)",
    " javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "/\\evil.example",
    "/\n/evil.example",
    "/a b",
    "ftp://example.org",
    "mailto:nobody",
    "articles",
]


class TestForm:
    def data(self, picture: Image, **fields: Any) -> AIImageForm:
        return AIImageForm({"picture": picture.pk, **fields})

    def test_the_words_of_the_library_are_enough(self, picture: Image) -> None:
        assert self.data(picture).is_valid()

    def test_without_any_words_it_asks(self, picture: Image) -> None:
        picture.default_alt_text = ""
        picture.save()
        assert list(self.data(picture).errors) == ["alt_text"]
        assert self.data(picture, decorative="on").is_valid()
        assert self.data(picture, alt_text="A pier").is_valid()
        assert list(self.data(picture, decorative="on", link="/articles/").errors) == ["alt_text"]

    @pytest.mark.parametrize(
        "link", ["/", "/articles/?page=2", "#top", "https://example.org/a", "mailto:a@example.org"]
    )
    def test_a_link_may_lead_to(self, link: str) -> None:
        validate_link(link)

    @pytest.mark.parametrize("link", WRONG_LINKS)
    def test_a_link_must_not_lead_to(self, link: str) -> None:
        with pytest.raises(ValidationError):
            validate_link(link)

    def test_only_who_may_generate_sees_the_button(
        self, client: Client, placeholder: Any, picture: Image, admin: User, reader: User
    ) -> None:
        plugin = add_plugin(placeholder, "AIImagePlugin", "en", picture=picture)
        client.force_login(admin)
        html = client.get(f"/admin/cms/placeholder/edit-plugin/{plugin.pk}/").content.decode()
        assert "ai-image-button" in html
        assert f'data-ai-images-origin="cms_ai_images_djangocms_plugin.aiimage:{plugin.pk}"' in html
        reader.is_staff = True
        reader.save()
        reader.user_permissions.set(permissions("cms.change_page", "cms_ai_images_djangocms_plugin.change_aiimage"))
        client.force_login(reader)
        answer = client.get(f"/admin/cms/placeholder/edit-plugin/{plugin.pk}/")
        assert answer.status_code == 200
        assert "ai-image-button" not in answer.content.decode()


def permissions(*names: str) -> list[Any]:
    from django.contrib.auth.models import Permission

    pairs = [name.split(".") for name in names]
    return [Permission.objects.get(content_type__app_label=app, codename=codename) for app, codename in pairs]


def test_it_says_what_it_needs(settings: Any) -> None:
    assert checks.check_button() == []
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if not app.endswith("filer_field")]
    assert [message.id for message in checks.check_button()] == ["cms_ai_images.E111"]


def test_its_migration_is_complete() -> None:
    assert apps.is_installed("cms")
    call_command("makemigrations", "cms_ai_images_djangocms_plugin", check=True, dry_run=True, verbosity=0)
