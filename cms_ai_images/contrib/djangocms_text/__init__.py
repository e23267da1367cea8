"""The "AI image" button in the tiptap editor of djangocms-text (`HTMLField` and django CMS text plugins).

Add `cms_ai_images.contrib.djangocms_text` to `INSTALLED_APPS`, together with `djangocms_text.contrib.filer_image`,
which turns `data-cms-src` into the picture's current address whenever a text is read.

What it touches, all of it djangocms-text's default editor (a site with a `TEXT_EDITOR` of its own is left alone):

- `DEFAULT_EDITOR.js` gets one ES module, the adapter between the editor and `<ai-image-dialog>`, and `admin_css` a rule
  that keeps large pictures inside the editor;
- `DEFAULT_EDITOR.additional_context` gets the address of the dialog;
- the toolbar labels get `AIImage`, without which the editor draws no button;
- the same context gets the address and the text of the badge, and the names of the fields that hold an article's title
  and summary (`ARTICLE_FIELDS`);
- the editor's schema gets a figure with a caption and a credit, and the class of a picture (`align-left`,
  `align-center`, `align-right`); what these look like on the page is up to the site's style sheet;
- the text widget escapes its value (`escaping` says why);
- the two default toolbars get `["AIImage"]`. A site with toolbars of its own puts `"AIImage"` where it likes.
"""
