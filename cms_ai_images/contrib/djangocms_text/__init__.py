"""The "AI image" button in the tiptap editor of djangocms-text (`HTMLField` and django CMS text plugins).

Add `cms_ai_images.contrib.djangocms_text` to `INSTALLED_APPS`, together with `djangocms_text.contrib.filer_image`,
which turns `data-cms-src` into the picture's current address whenever a text is read.

What it touches, all of it djangocms-text's default editor (a site with a `TEXT_EDITOR` of its own is left alone):

- `DEFAULT_EDITOR.js` gets one ES module, the adapter between the editor and `<ai-image-dialog>`, and `admin_css` a rule
  that keeps large pictures inside the editor;
- `DEFAULT_EDITOR.additional_context` gets the address of the dialog;
- the toolbar labels get `AIImage`, without which the editor draws no button;
- the two default toolbars get `["AIImage"]`. A site with toolbars of its own puts `"AIImage"` where it likes.
"""
