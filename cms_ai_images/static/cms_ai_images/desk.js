/**
 * The author's other requests: above the pictures, one button for each that is ready or still being drawn. So nothing
 * that the number on the toolbar's button counts has to be looked for in the history.
 */
import { Problem } from "./api.js";
import { make, part, setText } from "./dom.js";
import { isFinal } from "./live.js";

const PAUSE = 5000;
const HIDDEN_PAUSE = 30000;

export class Desk {
  #texts;
  #on;
  #tasks = new Map(); // by id
  #shown = null; // id of the task that the dialog shows
  #signature = "";
  #timer = 0;
  #asked = 0; // an answer that comes after the dialog was closed starts nothing

  /** @param {{onOpen: Function, onAsk: Function}} on - `onOpen(task)`; `onAsk()` resolves to the tasks as they are now. */
  constructor(root, texts, on) {
    this.title = part(root, "desk-title");
    this.list = part(root, "desk-list");
    this.#texts = texts;
    this.#on = on;
  }

  /** These are all. Of those that failed only the ones are told that somebody has seen waiting here. */
  fill(tasks) {
    const known = tasks.filter(({ id, status }) => status !== "failed" || this.#tasks.has(id));
    this.#tasks = new Map(known.map((task) => [task.id, task]));
    this.#render();
    this.#watch();
  }

  /** `task` has come or changed. */
  put(task) {
    this.#tasks.set(task.id, task);
    this.#render();
  }

  /** The same for one that is here. */
  update(task) {
    if (this.#tasks.has(task.id)) this.put(task);
  }

  remove(id) {
    this.#tasks.delete(id);
    this.#render();
  }

  /** The task called `id` is shown elsewhere; null: none is. */
  show(id) {
    this.#shown = id;
    this.#render();
  }

  /** Go to the first; returns whether there is one. */
  focus() {
    const button = this.list.querySelector("button");
    button?.focus();
    return Boolean(button);
  }

  /** Nobody looks any more. */
  stop() {
    clearTimeout(this.#timer);
    this.#asked += 1;
  }

  /** The newest first. */
  get #others() {
    const others = [...this.#tasks.values()].filter(({ id }) => id !== this.#shown);
    return others.sort((one, other) => other.created_at.localeCompare(one.created_at));
  }

  #render() {
    const others = this.#others;
    const signature = others.map(({ id, status, images }) => `${id} ${status} ${images.length}`).join();
    if (signature === this.#signature) return;
    this.#signature = signature;
    const focused = this.list.querySelector(":focus")?.value;
    this.list.replaceChildren(...others.map((task) => make("li", {}, this.#button(task))));
    this.list.hidden = others.length === 0;
    if (focused) [...this.list.querySelectorAll("button")].find(({ value }) => value === focused)?.focus();
    setText(this.title, this.#words(others));
    this.#watch();
  }

  #words(others) {
    const n = others.filter(({ status }) => status === "succeeded").length;
    if (n > 0) return this.#texts.get(n === 1 ? "more_ready_single" : "more_ready", { n });
    return others.length ? this.#texts.get("more_waiting") : "";
  }

  #button(task) {
    const pictures = task.images.filter((image) => image.preview_url);
    const n = pictures.length;
    const count = n === 1 ? "history_pictures_single" : "history_pictures";
    const state = task.status === "succeeded" ? this.#texts.get(count, { n }) : this.#texts.get(`state_${task.status}`);
    const words = make("span", { className: "desk-prompt", dir: "auto" }, task.prompt);
    const button = make("button", { type: "button", className: "desk-item", value: task.id, title: task.prompt });
    if (n > 0) button.append(make("img", { src: pictures[0].preview_url, alt: "" }));
    button.append(make("span", { className: "desk-words" }, words, make("span", { className: "hint" }, state)));
    button.addEventListener("click", () => this.#on.onOpen(task));
    return button;
  }

  /** What is being drawn while something else is looked at has no stream of its own: ask for all of them together. */
  #watch() {
    clearTimeout(this.#timer);
    if (this.#others.every(isFinal)) return;
    this.#timer = setTimeout(() => this.#ask(), document.hidden ? HIDDEN_PAUSE : PAUSE);
  }

  async #ask() {
    const asked = ++this.#asked;
    try {
      const tasks = await this.#on.onAsk();
      if (asked === this.#asked) this.fill(tasks);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (asked === this.#asked) this.#watch(); // they stand as they were, until the next time
    }
  }
}
