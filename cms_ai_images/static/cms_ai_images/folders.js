/** The folder of the media library that a picture goes to: those that the author may add files to. */
import { Problem } from "./api.js";
import { make, part, setText } from "./dom.js";

export class Folders {
  #api;
  #texts;
  #asked = false;

  constructor(root, texts, api) {
    this.field = part(root, "folder-field");
    this.select = this.field.querySelector("select");
    this.hint = part(root, "folder_id-hint");
    this.#api = api;
    this.#texts = texts;
  }

  /** The key of the chosen folder, or null for the usual one. */
  get value() {
    return Number(this.select.value) || null;
  }

  /** Ask for them once; where there is no answer, the usual folder is all there is to choose, until the next time. */
  async load() {
    if (this.#asked) return;
    this.#asked = true;
    try {
      this.#fill(await this.#api.folders());
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.#asked = false;
      this.#fill({ results: [], default: null });
      setText(this.hint, this.#texts.get("folders_missing"));
    }
  }

  #fill({ results, default: usual }) {
    const first = usual ? this.#texts.get("folder_usual", { path: usual.path }) : this.#texts.get("folder_default");
    const others = results.filter(({ id }) => id !== usual?.id);
    this.select.replaceChildren(
      make("option", { value: "" }, first),
      ...others.map(({ id, path }) => make("option", { value: id }, path)),
    );
    setText(this.hint, "");
  }
}
