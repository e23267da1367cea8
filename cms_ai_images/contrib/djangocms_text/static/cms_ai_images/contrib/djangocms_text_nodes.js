/**
 * What tiptap has to know so that an inserted picture survives being read again: it drops every element and attribute
 * that no extension declares. Each factory is handed tiptap's own classes by djangocms-text's registry.
 */
const IMAGE = "image";
const FIGURE = "aiImageFigure";
const CAPTION = "aiImageCaption";
const CREDIT = "aiImageCredit";

const kept = (name) => ({
  default: null,
  parseHTML: (element) => element.getAttribute(name),
  renderHTML: (attributes) => (attributes[name] ? { [name]: attributes[name] } : {}),
});

/** The reference to the library file, and the class that says where the picture stands. */
const reference = ({ Extension }) =>
  Extension.create({
    name: "aiImageReference",
    addGlobalAttributes: () => [
      { types: [IMAGE], attributes: { "data-cms-src": kept("data-cms-src"), class: kept("class") } },
    ],
  });

/** A picture with its caption; the caption is ordinary text that can be edited in place. */
const figure = ({ Node }) =>
  Node.create({
    name: FIGURE,
    group: "block",
    content: `${IMAGE} ${CAPTION}?`,
    isolating: true,
    draggable: true,
    addAttributes: () => ({ class: kept("class") }),
    parseHTML: () => [{ tag: "figure.ai-image", priority: 60 }],
    renderHTML: ({ HTMLAttributes }) => ["figure", HTMLAttributes, 0],
  });

const caption = ({ Node }) =>
  Node.create({
    name: CAPTION,
    content: "inline*",
    parseHTML: () => [{ tag: "figcaption", context: `${FIGURE}/` }],
    renderHTML: () => ["figcaption", 0],
    addKeyboardShortcuts() {
      return { Enter: () => leave(this.editor) };
    },
  });

const credit = ({ Mark }) =>
  Mark.create({
    name: CREDIT,
    inclusive: false,
    parseHTML: () => [{ tag: "span.credit", context: `${CAPTION}/` }],
    renderHTML: () => ["span", { class: "credit" }, 0],
  });

/** A caption is one line: Enter goes on writing below the figure. */
function leave(editor) {
  const { $from } = editor.state.selection;
  if ($from.parent.type.name !== CAPTION) return false;
  const below = $from.after($from.depth - 1);
  return editor.chain().insertContentAt(below, { type: "paragraph" }).focus(below + 1).run();
}

export function registerNodes(registry) {
  for (const [name, factory] of Object.entries({ reference, figure, caption, credit })) {
    registry.register(`ai-image-${name}`, factory, { apiVersion: 1 });
  }
}

/** What to insert for an accepted picture: a figure with its caption, or the picture alone. */
export function contentFor({ library, alt, caption: words, credit: source, as_figure: asFigure, alignment }) {
  const where = alignment ? `align-${alignment}` : null;
  const attrs = { src: library.url, alt, "data-cms-src": library.data_cms_src };
  if (!asFigure) return { type: IMAGE, attrs: { ...attrs, class: where } };
  const lines = [words, source].filter(Boolean).map((text) => ({ type: "text", text }));
  if (source) lines.at(-1).marks = [{ type: CREDIT }];
  if (words && source) lines.splice(1, 0, { type: "text", text: " " });
  return {
    type: FIGURE,
    attrs: { class: ["ai-image", where].filter(Boolean).join(" ") },
    content: [{ type: IMAGE, attrs }, ...(lines.length ? [{ type: CAPTION, content: lines }] : [])],
  };
}
