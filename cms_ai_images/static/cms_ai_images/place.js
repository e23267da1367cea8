/** One place that pictures are made for, and its dialog: asked for a picture, it answers with one or with nothing. */
import { AIImageDialogElement } from "./element.js";
import { pageArticle } from "./page_article.js";

export class Place {
  #element = new AIImageDialogElement();
  #mounted;
  #isOpen = false;

  /**
   * @param {{ok: boolean, html: string}} fragment - The dialog's markup, or what says why there is none.
   * @param {object} options
   * @param {object|null} [options.origin]
   * @param {{figure: boolean, align: boolean}} [options.capabilities] - Whether the place takes a figure with a caption,
   *   and an alignment.
   * @param {boolean} [options.allowDecorative] - Whether the picture may go without alternative text.
   */
  constructor({ ok, html }, { origin = null, capabilities, allowDecorative = true }) {
    const able = { figure: false, align: false, ...capabilities, decorative: allowDecorative };
    this.#mounted = this.#element.mount(html, { origin, capabilities: able });
    if (!ok) this.#element.addEventListener("ai-image:close", () => this.#element.remove(), { once: true });
  }

  /**
   * @param {object} options
   * @param {string} [options.prompt] - A first description, used where nothing has been typed.
   * @param {string} [options.selection] - Text that the author has selected, offered as a start.
   * @param {{title: string, summary: string}|null} [options.article] - What the picture is for, offered as a start; else
   *   it is looked for in the form of `options.control`, in the fields that `options.articleFields` names.
   * @returns {Promise<object|null>} See `openAIImageDialog`.
   */
  async open({ control, articleFields, article, ...start }) {
    if (this.#isOpen) return null; // a double click
    this.#isOpen = true;
    await this.#mounted;
    article ??= control && articleFields ? pageArticle(control, articleFields) : null;
    return new Promise((resolve) => {
      const listening = new AbortController();
      let accepted = null;
      const listen = (name, act) => this.#element.addEventListener(name, act, { signal: listening.signal });
      listen("ai-image:insert", (event) => (accepted = event.detail));
      listen("ai-image:close", () => {
        listening.abort();
        this.#isOpen = false;
        resolve(accepted);
      });
      this.#element.open({ ...start, article });
    });
  }
}
