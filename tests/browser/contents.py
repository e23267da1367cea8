"""What the site of the browser tests holds: the demo's people, styles and articles, and models that only paint or fail.

Run as a process of that site, before it is served.
"""

from __future__ import annotations

import django

SIZES = [[512, 512], [768, 512], [512, 768], [896, 512]]


def main() -> None:
    """Make the database and fill it."""
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)

    from django.apps import apps
    from django.contrib.auth.models import User

    from cms_ai_images.models import GenerationModel
    from project.demo import seeds

    models = {
        "quick": (12, {"step_seconds": 0.02}),
        "slow": (12, {"step_seconds": 0.3}),
        "endless": (40, {"step_seconds": 0.5}),
        "broken": (12, {"fail": "model_files_missing"}),
    }
    for position, (slug, (steps, options)) in enumerate(models.items()):
        GenerationModel.objects.create(
            slug=slug,
            label=f"{slug.capitalize()} model",
            position=position,
            backend="dummy",
            options=options,
            sizes=SIZES,
            default_parameters={"steps": steps, "guidance_scale": 4.0},
        )
    seeds.seed_people()
    seeds.seed_presets()
    seeds.seed_articles()
    if apps.is_installed("cms"):
        from project.cms_pages import seed_pages

        seed_pages()
    # Somebody who writes articles and may not generate pictures.
    reader = User.objects.create_user("reader", password="reader", is_staff=True)
    reader.user_permissions.set(map(seeds.permission, ["articles.change_article", "articles.view_article"]))


if __name__ == "__main__":
    main()
