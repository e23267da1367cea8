/** The action bar: which of its buttons is there, and which one is the next thing to do. */
import { action, part } from "./dom.js";

const PRIMARY = { choosing: "use", reviewing: "insert" };
const TAKING = ["use", "insert", "library", "back"];

export class Foot {
  constructor(root) {
    this.root = root;
    this.shortcut = part(root, "shortcut");
  }

  /** @param {{state: string, busy: boolean, task: object|null, image: object|null,
   *   failed: object|null, inHistory: boolean}} now */
  show({ state, busy, task, image, failed, inHistory }) {
    const waiting = state === "queued" || state === "generating";
    const reviewing = state === "reviewing" && !inHistory;
    const shown = {
      cancel: waiting && !task?.cancel_requested,
      retry: Boolean(failed) && failed.error?.retryable !== false,
      use: state === "choosing" && !inHistory && Boolean(image),
      insert: reviewing,
      library: reviewing && !image?.library,
      back: reviewing,
    };
    for (const [name, isShown] of Object.entries(shown)) this.#button(name).hidden = !isShown;
    this.#disable("generate", busy || waiting);
    for (const name of TAKING) this.#disable(name, busy);
    const primary = shown[PRIMARY[state]] ? PRIMARY[state] : "generate";
    for (const name of ["generate", "use", "insert"]) this.#button(name).classList.toggle("primary", name === primary);
    // The keys are told beside the button that they press.
    const group = this.#button(reviewing ? "insert" : "generate").parentElement;
    if (this.shortcut.parentElement !== group) group[reviewing ? "prepend" : "append"](this.shortcut);
  }

  /** Not `disabled`: that would take the focus away. */
  #disable(name, isDisabled) {
    if (isDisabled) this.#button(name).setAttribute("aria-disabled", "true");
    else this.#button(name).removeAttribute("aria-disabled");
  }

  #button(name) {
    return action(this.root.querySelector(".foot"), name);
  }
}
