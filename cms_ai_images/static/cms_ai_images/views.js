/** What the right pane shows: the pictures (`results`), one under `review`, or the `history`. */
import { action, part } from "./dom.js";

const NAMES = ["results", "review", "history"];

export class Views {
  #history;

  /** @param {import("./history.js").History} history - Told when it is shown and when it is not any more. */
  constructor(root, history) {
    this.root = root;
    this.dialog = root.querySelector("dialog");
    this.button = action(root, "history");
    this.#history = history;
  }

  get current() {
    return this.dialog.dataset.view;
  }

  show(name) {
    const was = this.current;
    this.dialog.dataset.view = name;
    for (const view of NAMES) part(this.root, view).hidden = view !== name;
    this.button.setAttribute("aria-pressed", String(name === "history"));
    if (was === name) return;
    if (name === "history") this.#history.show();
    if (was !== "history") return;
    this.#history.hide();
    this.button.focus();
  }
}
