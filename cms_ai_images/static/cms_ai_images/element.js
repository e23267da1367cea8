/**
 * `<ai-image-dialog>`: a native modal dialog in which an author describes a picture, watches it appear and picks one.
 * This is its frame; what happens inside is the controller's.
 *
 * Events: `ai-image:insert` (detail: the accepted image with what is to be inserted) and `ai-image:close`.
 * Closing it loses nothing: the element keeps what was typed, the server keeps what was asked for.
 */
import { Controller } from "./controller.js";

export class AIImageDialogElement extends HTMLElement {
  #controller = null; // stays so where the fragment only says why this person may not use it

  /**
   * Build the dialog from the server's fragment. Resolves when its style sheets are there.
   * @param {string} html
   * @param {{origin: object|null, capabilities: {figure: boolean, align: boolean, decorative: boolean}}} options
   */
  async mount(html, options) {
    const root = this.attachShadow({ mode: "open" });
    const template = document.createElement("template");
    template.innerHTML = html;
    root.append(template.content);
    document.body.append(this);
    this.dialog = root.querySelector("dialog");
    this.dialog.addEventListener("close", () => this.#onClose());
    root.addEventListener("click", ({ target }) => {
      if (target.closest('[data-action="close"]')) this.dialog.close();
    });
    await Promise.all([...root.querySelectorAll("link")].map(styled));
    if (!root.querySelector("#compose")) return;
    this.#controller = new Controller(root, { ...options, onInsert: (image) => this.#onInsert(image) });
  }

  /** Show it. `prompt` is used where the author has not written anything yet; `selection` and `article` are offered. */
  open(start = {}) {
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.#controller?.open(start);
  }

  #onInsert(image) {
    this.dispatchEvent(new CustomEvent("ai-image:insert", { detail: image, bubbles: true }));
    this.dialog.close();
  }

  async #onClose() {
    await this.#controller?.close();
    this.dispatchEvent(new CustomEvent("ai-image:close"));
  }
}

/** Resolves when the style sheet is loaded, or cannot be: an unstyled dialog is better than none. */
const styled = (link) =>
  new Promise((resolve) => {
    if (link.sheet) resolve();
    else for (const event of ["load", "error"]) link.addEventListener(event, resolve, { once: true });
  });

customElements.define("ai-image-dialog", AIImageDialogElement);
