"""What the example site starts with: people, styles, articles and one model.

Everything is made once and left alone afterwards, so that a second start keeps what was changed. Only the model's
folder is set each time, because the project may have moved.
"""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.db import transaction
from filer.models import Folder, Image

from cms_ai_images import groups
from cms_ai_images.groups import find as permission
from cms_ai_images.models import GenerationModel, StylePreset
from cms_ai_images.presets import publish_version
from project.articles.models import Article

from .articles import ARTICLES
from .thumbnails import thumbnail

MODEL_SLUG = "demo"

# Passwords equal the names; `ai_images_demo` serves nothing but loopback.
STAFF = {"editor": "Editor", "designer": "Designer", "manager": "AI image manager"}

# Slug, name, description, prompt template. The embedded model was taught these words, and no negative ones.
PRESETS = [
    ("photo", "Photo", "Like taken with a camera.", "a photo of {prompt}"),
    ("watercolour", "Watercolour", "Soft washes on paper.", "a watercolor painting of {prompt}"),
    ("pixel-art", "Pixel art", "Few colours, large pixels.", "pixel art of {prompt}"),
    ("pencil-sketch", "Pencil sketch", "Grey lines on white paper.", "a pencil sketch of {prompt}"),
    ("oil-painting", "Oil painting", "Thick strokes and deep colours.", "an oil painting of {prompt}"),
    ("sepia", "Sepia", "A faded brown photograph.", "a sepia photo of {prompt}"),
]


@transaction.atomic
def seed(model_folder: Path) -> None:
    """Bring the database to where the demo begins. May be repeated at any time."""
    seed_model(model_folder)
    seed_people()
    seed_presets()
    seed_articles()
    if apps.is_installed("cms"):
        from project.cms_pages import seed_pages

        seed_pages()


def seed_model(folder: Path) -> None:
    """The row that names the pipeline in `folder`; small pictures, because it draws them on a CPU."""
    GenerationModel.objects.update_or_create(
        slug=MODEL_SLUG,
        defaults={"source": str(folder)},
        create_defaults={
            "source": str(folder),
            "label": "Emoji (demo model)",
            "description": "It knows 156 emoji-like subjects on ten scenes, and passes over all other words.",
            "backend": "diffusers",
            "sizes": [[128, 128], [192, 128], [128, 192], [224, 128]],
            "default_parameters": {"steps": 16, "guidance_scale": 3.0},
            "parameter_limits": {"steps": [1, 50], "guidance_scale": [0, 15]},
        },
    )


def seed_people() -> None:
    """One superuser, and one person of each group."""
    if not User.objects.filter(username="admin").exists():
        User.objects.create_superuser("admin", "admin@example.org", "admin")
    for made in groups.ensure():
        if made.created and made.name == "Editor":  # who also writes this site's articles
            articles = [permission(f"articles.{action}_article") for action in ("add", "change", "view")]
            Group.objects.get(name=made.name).permissions.add(*articles)
    for username, group_name in STAFF.items():
        group = Group.objects.get(name=group_name)
        if not User.objects.filter(username=username).exists():
            user = User.objects.create_user(username, f"{username}@example.org", username, is_staff=True)
            user.groups.add(group)


def seed_presets() -> None:
    """The six styles, each with its first version, published."""
    for position, (slug, name, description, template) in enumerate(PRESETS, start=1):
        preset, created = StylePreset.objects.get_or_create(
            slug=slug,
            defaults={"name": name, "description": description, "position": position, "published": True},
        )
        if created:
            publish_version(preset, {"prompt_template": template})
            preset.thumbnail = seed_thumbnail(slug, name)
            preset.save(update_fields=["thumbnail"])


def seed_thumbnail(slug: str, name: str) -> Image:
    """The picture by which authors recognise a style, in a folder of its own in the media library."""
    folder, _created = Folder.objects.get_or_create(name="Styles", parent=None)
    file = ContentFile(thumbnail(slug), f"style-{slug}.png")
    return Image.objects.create(file=file, name=name, folder=folder, default_alt_text=f"A harbour, {name.lower()}")


def seed_articles() -> None:
    """Three published articles to put pictures into; only into a site that has none."""
    if Article.objects.exists():
        return
    author = User.objects.get(username="editor")
    for fields in ARTICLES:
        Article.objects.create(published=True, author=author, **fields)
