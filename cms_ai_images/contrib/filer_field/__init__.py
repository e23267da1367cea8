"""A "Create with AI" button beside the filer image fields of a `ModelAdmin` or an inline.

Add `cms_ai_images.contrib.filer_field` to `INSTALLED_APPS` (for its script and template) and the mixin to the admin::

    from cms_ai_images.contrib.filer_field.admin import AIImageFieldsMixin

    class ArticleAdmin(AIImageFieldsMixin, admin.ModelAdmin): ...

What it touches: the widget of each `FilerImageField` in the forms of that admin, for users who may generate pictures.
filer's own widget is kept as it is and filled through the function that filer's file picker calls.
"""
