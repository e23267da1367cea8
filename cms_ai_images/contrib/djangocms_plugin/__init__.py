"""The django CMS plugin "AI image": one picture of the media library in a placeholder, made on the spot or chosen.

Add `cms_ai_images.contrib.djangocms_plugin` and `cms_ai_images.contrib.filer_field`, whose button and script the
plugin's form uses, to `INSTALLED_APPS`, and migrate. Needs `pip install "cms-ai-images[cms]"`.

What it touches: nothing. It registers one plugin, whose template
`cms_ai_images/contrib/djangocms_plugin/picture.html` a site may replace; its renditions come from easy-thumbnails.
"""
