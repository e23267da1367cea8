/** The description: how long it may be, and what it can start from. What was written is never lost to a click. */
import { part, setText } from "./dom.js";

export class Prompt {
  #texts;
  #limit = Infinity;
  #starts = {}; // name of a button -> the text that it puts in
  #before = null; // what the author had written before another text took its place
  #put = null; // that other text

  constructor(form, texts) {
    this.input = form.querySelector("#prompt");
    this.examples = part(form, "examples");
    this.starts = part(form, "starts");
    this.counter = part(form, "counter");
    this.#texts = texts;
    this.input.addEventListener("input", () => this.#render());
    form.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-start]");
      if (button) this.#start(button);
    });
  }

  get value() {
    return this.input.value;
  }

  set value(text) {
    this.input.value = text;
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  set limit(characters) {
    this.#limit = characters || Infinity;
    this.#render();
  }

  /** Put `text` in the place of what is written. The author's own words can be brought back. */
  replace(text) {
    if (![text, this.#put].includes(this.value)) this.#before = this.value;
    this.#put = text;
    this.value = text;
  }

  /** Offer texts of the page as a start; each is there only where there is a text. */
  offer({ selection = "", article = null }) {
    const { title = "", summary = "" } = article ?? {};
    this.#starts = { selection: oneLine(selection), article: [title, summary].map(oneLine).filter(Boolean).join(". ") };
    this.#render();
  }

  #start(button) {
    const { start } = button.dataset;
    if (start === "undo") {
      this.value = this.#before;
      this.#before = null;
    } else if (start === "example") this.value = button.textContent;
    else if (start in this.#starts) {
      this.replace(shortened(this.#starts[start], this.#limit));
    } else return;
    this.#render();
    this.input.focus();
  }

  /** Examples while nothing is written; how long it may be when it gets long. */
  #render() {
    const used = promptLength(this.value);
    const counted = used > this.#limit * 0.8 ? this.#texts.get("counter", { used, limit: this.#limit }) : "";
    setText(this.counter, counted);
    this.examples.hidden = this.value !== "";
    const canUndo = Boolean(this.#before) && this.value !== this.#before;
    const shown = { selection: this.#starts.selection, article: this.#starts.article, undo: canUndo };
    for (const button of this.starts.children) button.hidden = !shown[button.dataset.start];
    this.starts.hidden = !Object.values(shown).some(Boolean);
  }
}

const oneLine = (text = "") => text.replace(/\s+/g, " ").trim();

/** At most `limit` characters, cut between words. */
function shortened(text, limit) {
  const characters = [...text];
  if (characters.length <= limit) return text;
  return characters.slice(0, limit).join("").replace(/\s+\S*$/, "");
}

/** As the server counts: composed characters, not UTF-16 units, without control characters and outer space. */
export function promptLength(text) {
  const shown = text.normalize("NFC").replace(/[\p{Cc}\p{Cs}]/gu, (char) => ("\n\t".includes(char) ? char : ""));
  return [...shown.trim()].length;
}
