/**
 * The seed and its lock. Open, each request draws a new one and the last one is shown; closed, it is sent. Typing one
 * closes the lock, emptying it opens it.
 */
import { part, setText } from "./dom.js";

const MAX_SEED = 2 ** 32 - 1;

export class Seed {
  #texts;

  /** @param {Function} onChange - Called when the author opens or closes the lock. */
  constructor(form, texts, onChange) {
    this.input = form.querySelector("#seed");
    this.lock = part(form, "seed-lock");
    this.hint = form.querySelector("#seed-hint");
    this.#texts = texts;
    this.input.addEventListener("input", () => this.#set(this.input.value.trim() !== ""));
    this.lock.addEventListener("click", () => {
      this.#set(!this.isKept && this.input.value.trim() !== "");
      onChange();
      if (!this.input.value.trim()) this.input.focus(); // there is none to be kept yet
    });
    this.#set(false);
  }

  get isKept() {
    return this.lock.getAttribute("aria-pressed") === "true";
  }

  /** What is sent, as it was typed; empty for a new one. */
  get kept() {
    return this.isKept ? this.input.value.trim() : "";
  }

  get isValid() {
    return !this.kept || (/^\d+$/.test(this.kept) && Number(this.kept) <= MAX_SEED);
  }

  /** Keep `seed`, or with an empty one draw a new one each time. */
  keep(seed) {
    if (this.input.disabled) return;
    this.input.value = String(seed);
    this.#set(this.input.value !== "");
  }

  /** Tell what was drawn with, so that it can be kept afterwards. */
  tell(seed) {
    if (!this.isKept && !this.input.disabled) this.input.value = String(seed);
  }

  /** The style decides. */
  set isLocked(value) {
    this.lock.disabled = value;
  }

  #set(isKept) {
    this.lock.setAttribute("aria-pressed", String(isKept));
    this.input.classList.toggle("told", !isKept);
    setText(this.hint, this.#texts.get(isKept ? "seed_kept" : "seed_new"));
  }
}
