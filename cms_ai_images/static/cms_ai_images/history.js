/**
 * The right pane's third view: all tasks of the author, newest first, to be searched, filtered and opened again. It
 * keeps what was looked for as long as the page lives, and asks anew each time it is shown.
 */
import { Problem } from "./api.js";
import { make, part, setText } from "./dom.js";
import { itemFor } from "./history_item.js";

const TYPING_PAUSE = 300;
const CONTROL = "button:not([hidden])";
const FILTERS = ["preset", "model", "status", "from", "to", "user"];

export class History {
  #root;
  #texts;
  #options;
  #cursor = null;
  #question = 0; // an answer to an earlier one is not shown any more
  #timer = 0;
  #hasChoices = false;

  /**
   * @param {ShadowRoot} root
   * @param {import("./texts.js").Texts} texts
   * @param {{api: import("./api.js").ImagesAPI, mayseeAll: boolean, onOpen: Function, onRetry: Function,
   *   onBack: Function}} options - `onOpen` and `onRetry` get the task.
   */
  constructor(root, texts, options) {
    this.#root = part(root, "history");
    this.#texts = texts;
    this.#options = options;
    this.form = part(root, "history-filter");
    this.list = part(root, "history-list");
    part(root, "history-everybody").hidden = !options.mayseeAll;
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => this.#later(event.target.name === "q" ? TYPING_PAUSE : 0));
    this.list.addEventListener("keydown", (event) => this.#onArrow(event));
    part(root, "history-back").addEventListener("click", () => options.onBack());
    part(root, "history-clear").addEventListener("click", () => this.#clear());
    part(root, "history-next").addEventListener("click", () => this.#more());
  }

  /** Ask, and go to its heading. */
  async show() {
    const heading = this.#root.querySelector("h3");
    heading.focus({ preventScroll: true });
    this.#root.scrollIntoView(); // on a narrow screen it is below the form
    this.#fillChoices();
    await this.#search();
    if (heading.matches(":focus")) this.#root.scrollIntoView(); // before that, there was not enough below it
  }

  /** What is on its way is not shown any more. */
  hide() {
    clearTimeout(this.#timer);
    this.#question += 1;
  }

  // -- looking ---------------------------------------------------------------------------------------------------------

  #later(pause) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(), pause);
  }

  async #search() {
    const page = await this.#ask(null);
    if (!page) return;
    this.list.replaceChildren(...page.results.map((task) => this.#item(task)));
    this.#tell();
  }

  async #more() {
    const page = await this.#ask(this.#cursor);
    if (!page) return;
    const items = page.results.map((task) => this.#item(task));
    this.list.append(...items);
    this.#tell();
    items.find((item) => item.querySelector(CONTROL))?.querySelector(CONTROL).focus();
  }

  /** The page behind `cursor`, or null where the question is out of date or was refused. */
  async #ask(cursor) {
    const question = ++this.#question;
    const query = this.#query();
    setText(part(this.#root, "history-status"), this.#texts.get("history_loading"));
    try {
      const page = await this.#options.api.history({ ...query, ...(cursor && { cursor }) });
      if (question !== this.#question) return null;
      this.#cursor = page.next && new URL(page.next, location.href).searchParams.get("cursor");
      this.#showErrors([]);
      return page;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (question === this.#question) this.#showProblem(problem);
      return null;
    }
  }

  /** What is looked for: only what was filled in. */
  #query() {
    return Object.fromEntries([...new FormData(this.form)].filter(([, value]) => value.trim()));
  }

  #clear() {
    this.form.reset();
    this.form.elements.q.focus();
    this.#search();
  }

  async #fillChoices() {
    if (this.#hasChoices) return;
    this.#hasChoices = true;
    const { api } = this.#options;
    const [presets, models] = await Promise.allSettled([api.presets(), api.models()]);
    this.#hasChoices = Boolean(presets.value && models.value); // else again the next time; the search says why
    for (const { slug, name } of presets.value ?? []) this.#choice("preset", slug, name);
    for (const { slug, label } of models.value ?? []) this.#choice("model", slug, label);
  }

  #choice(name, value, label) {
    const select = this.form.elements[name];
    if (![...select.options].some((known) => known.value === value)) select.append(make("option", { value }, label));
  }

  // -- showing ---------------------------------------------------------------------------------------------------------

  #item(task) {
    const { onOpen, onRetry } = this.#options;
    return itemFor(task, part(this.#root, "history-item"), this.#texts, { onOpen, onRetry });
  }

  /** How many there are, or that there are none and why. */
  #tell() {
    const n = this.list.children.length;
    const query = this.#query();
    const name = n === 0 ? "history_none" : this.#cursor ? "history_shown" : "history_all";
    setText(part(this.#root, "history-status"), this.#texts.get(name, { n }));
    part(this.#root, "history-next").hidden = !this.#cursor;
    part(this.#root, "history-empty").hidden = n > 0;
    const isNarrowed = Object.keys(query).length > 0;
    part(this.#root, "history-clear").hidden = !isNarrowed;
    setText(
      part(this.#root, "history-empty-text"),
      this.#texts.get(isNarrowed ? "history_no_match" : "history_empty"),
    );
    const active = FILTERS.filter((filter) => filter in query).length;
    const badge = active ? this.#texts.get("history_active", { n: active }) : "";
    setText(part(this.#root, "history-active"), badge);
  }

  #showProblem(problem) {
    setText(part(this.#root, "history-status"), "");
    const elsewhere = this.#showErrors(problem.errors);
    if (problem.errors.length && elsewhere.length === 0) return;
    const text = problem.detail || this.#texts.get(problem.code === "network" ? "network" : "unexpected", problem);
    part(this.#root, "history-problem").replaceChildren(make("p", { className: "message error" }, text));
  }

  /** Show errors at their fields; returns those that belong to none. */
  #showErrors(errors) {
    part(this.#root, "history-problem").replaceChildren();
    for (const message of this.form.querySelectorAll(".error-text")) {
      const { field } = message.parentElement.dataset;
      const error = errors.find((candidate) => candidate.field === field);
      setText(message, error?.detail ?? "");
      message.hidden = !error;
      if (error) this.form.elements[field].setAttribute("aria-invalid", "true");
      else this.form.elements[field].removeAttribute("aria-invalid");
    }
    return errors.filter(({ field }) => !this.form.querySelector(`[data-field="${field}"] .error-text`));
  }

  /** Up and down go from task to task. */
  #onArrow(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const items = [...this.list.children].filter((item) => item.querySelector(CONTROL));
    items[items.indexOf(event.target.closest("li")) + step]?.querySelector(CONTROL).focus();
    event.preventDefault();
  }
}
