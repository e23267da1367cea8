/**
 * The adapter between djangocms-text's tiptap editor and the AI image dialog. It uses the editor's registry alone
 * (`window.CMS_Editor.tiptap`) and brings no tiptap of its own.
 */
import { badges } from "../badge.js";
import { openAIImageDialog } from "../dialog.js";
import { pageOrigin } from "../page_origin.js";
import { contentFor, registerNodes } from "./djangocms_text_nodes.js";

const ITEM = "AIImage";
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"></svg>'; // the server's label brings the real one

const settings = () => window.CMS_Editor._global_settings;

/** What the picture is for: a text plugin knows its own key, any other field is found from the page. */
function originOf(editor) {
  const { el, settings: own } = editor.options;
  const plugin = own?.plugin_id ?? el.dataset.cmsPluginId;
  if (plugin) return { label: "djangocms_text.text", object_id: String(plugin), field: "body" };
  return pageOrigin(el, el.name ?? el.dataset.cmsField ?? el.id);
}

/** The inline editor saves and closes when it loses the focus, unless it finds such an element. */
function holdInlineEditor(editor) {
  const hold = document.createElement("div");
  hold.className = "cms-dialog";
  hold.hidden = true;
  hold.dataset.editor = editor.options.el.id;
  document.querySelector("#cms-top")?.append(hold);
  return () => hold.remove();
}

async function insertImage(editor) {
  const { from, to } = editor.state.selection;
  const release = holdInlineEditor(editor);
  badges.pause();
  try {
    const image = await openAIImageDialog({
      dialogUrl: settings().ai_images_dialog_url,
      unreachableText: settings().ai_images_unreachable_text,
      origin: originOf(editor),
      selection: editor.state.doc.textBetween(from, to, " "),
      control: editor.options.el,
      articleFields: JSON.parse(settings().ai_images_article_fields),
      capabilities: { figure: true, align: true },
    });
    // After the selection, never instead of it: the author may have selected the words that describe the picture.
    // Without a cursor the selection can end between blocks, where no text cursor may stand: then it goes to the end.
    const inText = editor.state.doc.resolve(to).parent.inlineContent;
    const chain = editor.chain().focus(inText ? to : "end");
    if (image) chain.insertContent(contentFor(image));
    chain.run();
  } finally {
    release();
    badges.resume();
  }
}

/** The number of pictures that are ready, on the toolbar's button of each editor. */
const badge = ({ Extension }) =>
  Extension.create({
    name: "aiImageBadge",
    onCreate() {
      const { topToolbar, element } = this.editor.options;
      for (const button of (topToolbar ?? element).querySelectorAll(`[data-action="${ITEM}"]`)) {
        const { ai_images_ready_url: url, ai_images_ready_text: text, ai_images_ready_hint: hint } = settings();
        badges.add(button, { url, text, hint, origin: originOf(this.editor), label: button.title });
      }
    },
  });

const registry = window.CMS_Editor.tiptap;
registerNodes(registry);
registry.register("ai-image-badge", badge, { apiVersion: 1 });
registry.registerToolbarItem(ITEM, {
  type: "mark",
  title: "AI image",
  icon: SVG,
  action: (editor) => insertImage(editor),
  enabled: (editor) => Boolean(editor.schema.nodes.image),
});
