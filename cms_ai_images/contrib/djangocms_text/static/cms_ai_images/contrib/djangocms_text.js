/**
 * The adapter between djangocms-text's tiptap editor and the AI image dialog. It uses the editor's registry alone
 * (`window.CMS_Editor.tiptap`) and brings no tiptap of its own.
 */
import { openAIImageDialog } from "../dialog.js";
import { pageOrigin } from "../page_origin.js";

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"></svg>'; // the server's label brings the real one

/** The address of the picture is kept as a reference to the library file, which the image node would otherwise drop. */
const referenceExtension = ({ Extension }) =>
  Extension.create({
    name: "aiImageReference",
    addGlobalAttributes: () => [
      {
        types: ["image"],
        attributes: {
          "data-cms-src": {
            default: null,
            parseHTML: (element) => element.getAttribute("data-cms-src"),
            renderHTML: (attributes) =>
              attributes["data-cms-src"] ? { "data-cms-src": attributes["data-cms-src"] } : {},
          },
        },
      },
    ],
  });

/** What the picture is for: a text plugin knows its own key, any other field is found from the page. */
function originOf(editor) {
  const { el, settings } = editor.options;
  const plugin = settings?.plugin_id ?? el.dataset.cmsPluginId;
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
  const settings = window.CMS_Editor._global_settings;
  const { from, to } = editor.state.selection;
  const release = holdInlineEditor(editor);
  try {
    const image = await openAIImageDialog({
      dialogUrl: settings.ai_images_dialog_url,
      unreachableText: settings.ai_images_unreachable_text,
      origin: originOf(editor),
      prompt: editor.state.doc.textBetween(from, to, " "),
    });
    // After the selection, never instead of it: the author may have selected the words that describe the picture.
    // Without a cursor the selection can end between blocks, where no text cursor may stand: then it goes to the end.
    const inText = editor.state.doc.resolve(to).parent.inlineContent;
    const chain = editor.chain().focus(inText ? to : "end");
    if (image) {
      const { library, alt } = image;
      chain.setImage({ src: library.url, alt, "data-cms-src": library.data_cms_src });
    }
    chain.run();
  } finally {
    release();
  }
}

const registry = window.CMS_Editor.tiptap;
registry.register("ai-image-reference", referenceExtension, { apiVersion: 1 });
registry.registerToolbarItem("AIImage", {
  type: "mark",
  title: "AI image",
  icon: SVG,
  action: (editor) => insertImage(editor),
  enabled: (editor) => Boolean(editor.schema.nodes.image),
});
