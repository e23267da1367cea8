/** Keeps the focus inside the dialog when the control that has it is hidden or removed. */
import { action, isShown } from "./dom.js";

export class FocusKeeper {
  #last = null; // what had the focus last

  /** @param {string[]} others - The actions that may have it instead, the likeliest first. */
  constructor(root, others) {
    this.root = root;
    this.others = others.map((name) => action(root, name));
    root.addEventListener("focusin", (event) => (this.#last = event.target));
  }

  keep() {
    const { activeElement } = this.root;
    if (!this.#last || isShown(this.#last) || (activeElement && isShown(activeElement))) return;
    this.others.find(isShown)?.focus();
  }
}
