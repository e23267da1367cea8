/** What the author says about the chosen picture: its alternative text, or that it is decoration. */
import { part, setText } from "./dom.js";

export class Review {
  #texts;
  #words = new Map(); // image id -> { alt, edited, decorative }: choosing another picture loses nothing
  #current = null;

  constructor(root, texts, { capabilities: { decorative: allowDecorative } }) {
    this.form = root.querySelector("#review");
    this.alt = root.querySelector("#alt_text");
    this.decorative = part(root, "decorative");
    this.error = root.querySelector("#alt_text-error");
    this.allowDecorative = allowDecorative;
    this.#texts = texts;
    part(root, "decorative-field").hidden = !allowDecorative;
    this.form.addEventListener("input", () => this.#keep());
  }

  /** Show the words for `image`. Until the author writes some, those of `task` stand in. */
  open(image, { prompt: proposal }) {
    this.#current = image;
    if (!this.#words.has(image.id)) {
      const alt = (image.library?.alt_text || proposal).slice(0, this.alt.maxLength);
      this.#words.set(image.id, { alt, edited: false, decorative: false });
    }
    this.#render();
  }

  /** The body of `POST images/{id}/accept/`. */
  details() {
    return this.text ? { alt_text: this.text } : { decorative: true };
  }

  /** How it stands in the text. */
  placement() {
    return { as_figure: false, alignment: "" };
  }

  /** Show errors at their fields; returns those that belong to no field. */
  showErrors(errors) {
    const own = errors.find(({ field }) => field === "alt_text");
    if (own) this.showError(own.detail);
    return errors.filter((error) => error !== own);
  }

  /** The text for the `alt` attribute: empty for decoration. */
  get text() {
    return this.decorative.checked ? "" : this.alt.value.trim();
  }

  /** Whether it can be inserted; if not, says why at the field. */
  isComplete() {
    if (this.text || this.decorative.checked || !this.allowDecorative) return true;
    this.showError(this.#texts.get("alt_missing"));
    return false;
  }

  showError(text) {
    setText(this.error, text);
    this.error.hidden = !text;
    this.alt.closest(".field").classList.toggle("invalid", Boolean(text));
    if (text) {
      this.alt.setAttribute("aria-invalid", "true");
      this.alt.focus();
    } else this.alt.removeAttribute("aria-invalid");
  }

  #keep() {
    const before = this.#words.get(this.#current.id);
    const edited = before.edited || this.alt.value !== before.alt;
    this.#words.set(this.#current.id, { alt: this.alt.value, edited, decorative: this.decorative.checked });
    this.#render();
  }

  #render() {
    const { alt, edited, decorative } = this.#words.get(this.#current.id);
    if (this.alt.value !== alt) this.alt.value = alt;
    this.decorative.checked = decorative;
    this.alt.disabled = decorative;
    this.showError("");
    setText(part(this.form, "alt-hint"), this.#texts.get(edited || !alt ? "alt_own" : "alt_proposed"));
  }
}
