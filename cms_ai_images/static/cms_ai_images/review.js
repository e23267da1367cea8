/**
 * The last look before a picture enters the article: what it is called, what it shows, where it is put. What was
 * written for a picture is kept while the dialog lives, so looking at another one loses nothing.
 */
import { part, setText } from "./dom.js";
import { FieldErrors } from "./field_errors.js";
import { FocalPoint } from "./focal.js";
import { Folders } from "./folders.js";

/** What the author writes, by the API's names. */
const WRITTEN = ["alt_text", "caption", "credit", "name"];

export class Review {
  #texts;
  #capabilities;
  #drafts = new Map(); // image id -> what was written for it
  #image = null;

  /**
   * @param {{api: object, capabilities: {figure: boolean, align: boolean, decorative: boolean}}} options -
   *   `capabilities`: what the place can show, and whether its picture may be decoration.
   */
  constructor(root, texts, { api, capabilities }) {
    this.form = root.querySelector("#review");
    this.title = root.querySelector("#review-title");
    this.focal = new FocalPoint(root, texts, () => (this.#draft.focal = this.focal.value));
    this.folders = new Folders(root, texts, api);
    this.errors = new FieldErrors(this.form);
    this.#texts = texts;
    this.#capabilities = capabilities;
    part(root, "decorative-field").hidden = !capabilities.decorative;
    part(root, "figure-field").hidden = !capabilities.figure;
    part(root, "alignment-field").hidden = !capabilities.align;
    this.form.addEventListener("input", (event) => this.#onInput(event.target));
    this.form.addEventListener("keydown", (event) => this.#onKey(event));
    this.focal.picture.addEventListener("error", () => this.#showPicture(false));
    this.focal.picture.addEventListener("load", () => this.#showPicture(true));
  }

  /** Show `image` of `task` with what was written for it, else with what is proposed. The focus goes there. */
  open(image, task) {
    const before = this.#draft;
    this.#image = image;
    if (!this.#drafts.has(image.id)) this.#drafts.set(image.id, firstDraft(image, task, before));
    if (image.library) this.#draft.proposed.clear(); // it was accepted meanwhile
    this.errors.clear();
    this.folders.load();
    this.focal.picture.src = image.file_url ?? image.library.url;
    this.focal.area.style.setProperty("--ratio", image.width / image.height);
    this.#fill();
    queueMicrotask(() => this.#focus()); // it is shown by whoever opened it, which is just after this
  }

  /** The body of `POST images/{id}/accept/`. */
  details() {
    const draft = this.#draft;
    const [name, caption, credit] = ["name", "caption", "credit"].map((key) => oneLine(draft[key]));
    const details = { name, caption, credit };
    if (draft.decorative) details.decorative = true;
    else details.alt_text = oneLine(draft.alt_text);
    const folder = this.folders.value;
    if (folder) details.folder_id = folder;
    if (draft.focal) details.focal_point = draft.focal;
    return details;
  }

  /** How it stands in the text: {as_figure, alignment}. */
  placement() {
    const { figure, align } = this.#capabilities;
    return { as_figure: Boolean(figure) && this.#asFigure, alignment: align ? this.#draft.alignment.replace("none", "") : "" };
  }

  /** Whether it can be inserted; if not, says why at the field. */
  isComplete() {
    const { alt_text: alt, decorative } = this.#draft;
    if (alt.trim() || decorative || !this.#capabilities.decorative) return true;
    this.showErrors([{ field: "alt_text", detail: this.#texts.get("alt_missing") }]);
    return false;
  }

  /** Show what the server refused at its fields; returns what belongs to none of them. */
  showErrors(errors) {
    return this.errors.show(errors);
  }

  // -- what was written ------------------------------------------------------------------------------------------------

  get #draft() {
    return this.#image && this.#drafts.get(this.#image.id);
  }

  /** A caption needs a figure, so with words there is one, until the author decides. */
  get #asFigure() {
    const { figure, caption, credit } = this.#draft;
    return figure ?? Boolean(caption.trim() || credit.trim());
  }

  /** To what needs to be checked first; not where that would open a phone's keyboard over it. */
  #focus() {
    const field = this.#field(this.#draft.decorative ? "decorative" : "alt_text");
    const isTouched = window.matchMedia("(pointer: coarse)").matches;
    (isTouched ? this.title : field).focus({ preventScroll: true });
    this.title.scrollIntoView();
  }

  #field(name) {
    return this.form.elements[name];
  }

  #onInput(control) {
    const draft = this.#draft;
    if (control.name === "figure") draft.figure = control.value === "figure";
    if (WRITTEN.includes(control.name)) draft.proposed.delete(control.name);
    this.errors.clear(control.name === "decorative" ? this.#field("alt_text") : control);
    this.#keep();
  }

  #keep() {
    const draft = this.#draft;
    for (const name of WRITTEN) draft[name] = this.#field(name).value;
    draft.decorative = this.#field("decorative").checked;
    draft.alignment = this.#field("alignment").value;
    this.#fill();
  }

  #fill() {
    const draft = this.#draft;
    for (const name of WRITTEN) {
      const field = this.#field(name);
      if (field.value !== draft[name]) field.value = draft[name];
    }
    this.#field("decorative").checked = draft.decorative;
    this.#field("alt_text").disabled = draft.decorative;
    this.#field("alignment").value = draft.alignment;
    this.#field("figure").value = this.#asFigure ? "figure" : "plain";
    this.focal.value = draft.focal;
    for (const name of ["alt_text", "name"]) {
      const isProposed = draft.proposed.has(name) && !(name === "alt_text" && draft.decorative);
      this.#field(name).closest(".field").classList.toggle("proposed", isProposed);
      const kind = isProposed ? "proposed" : this.#image.library && name === "name" ? "kept" : "own";
      setText(part(this.form, `${name}-hint`), this.#texts.get(`${name}_${kind}`));
    }
  }

  #showPicture(isThere) {
    part(this.form, "focal").hidden = !isThere;
    part(this.form, "focal-missing").hidden = isThere;
  }

  /** Texts that wrap, but have no lines: Enter does what it does in every other field of the form. */
  #onKey(event) {
    const { target } = event;
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
    if (target.localName !== "textarea") return;
    event.preventDefault();
    this.form.requestSubmit();
  }
}

/** What stands there before anything is written: what the library says, else what is proposed. */
function firstDraft({ library }, { proposed }, before) {
  const words = library ?? { ...proposed, caption: "", credit: "", focal_point: null };
  return {
    alt_text: words.alt_text,
    name: words.name,
    caption: words.caption,
    credit: words.credit,
    focal: words.focal_point,
    decorative: library?.alt_text === "",
    // A matter of the article rather than of the picture, so as it was for the one before.
    alignment: before?.alignment ?? "none",
    figure: before?.figure,
    proposed: new Set(["alt_text", "name"].filter((name) => proposed[name])),
  };
}

const oneLine = (text) => text.replace(/\s+/g, " ").trim();
