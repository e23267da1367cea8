/**
 * How many tasks have pictures of which none was taken yet, and that nobody has put away, as a number on the buttons
 * that open the dialog. One request when the page is there; then only while something is being drawn, and seldom while
 * nobody looks at the page.
 */
const START = 400; // until then a page has made its editors, so that one question is enough for all
const PAUSE = 5000;
const HIDDEN_PAUSE = 30000;

class Badges {
  #places = new Map(); // url of the numbers -> [{button, title, field, label, text, hint}]
  #drawing = new Set(); // urls of places where something is being drawn
  #timer = 0;
  #paused = false;
  #region = null;

  /**
   * @param {HTMLElement} button
   * @param {{url: string, origin: object|null, label: string, text: string, hint: string}} place - `label` is the
   *   button's own name, `text` that with a number: "{label}, {n} ready", `hint` says what the number counts.
   */
  add(button, { url, origin, label, text, hint }) {
    const query = origin ? `?${new URLSearchParams({ origin: `${origin.label}:${origin.object_id}` })}` : "";
    const places = this.#places.get(url + query) ?? [];
    this.#places.set(url + query, [...places, { button, title: button.title, field: origin?.field, label, text, hint }]);
    this.#schedule(START);
  }

  /** While the dialog is open it knows better. */
  pause() {
    this.#paused = true;
    clearTimeout(this.#timer);
  }

  resume() {
    this.#paused = false;
    this.#schedule(0);
  }

  #schedule(pause) {
    clearTimeout(this.#timer);
    if (!this.#paused) this.#timer = setTimeout(() => this.#ask(), pause);
  }

  async #ask() {
    const drawing = await Promise.all([...this.#places].map(([url, places]) => this.#show(url, places)));
    if (drawing.some(Boolean)) this.#schedule(document.hidden ? HIDDEN_PAUSE : PAUSE);
  }

  /** Whether to ask again. Who may not ask sees no number; the dialog says why. */
  async #show(url, places) {
    const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer) return this.#drawing.has(url); // the connection may come back
    this.#drawing.delete(url);
    if (!answer.ok) return false;
    const { ready, fields, drawing } = await answer.json();
    if (drawing) this.#drawing.add(url);
    for (const { button, title, field, label, text, hint } of places) {
      const n = field === undefined ? ready : (fields[field] ?? 0);
      const name = n ? text.replace("{label}", label).replace("{n}", n) : label;
      if (n > Number(button.dataset.ready ?? 0)) this.#say(name);
      if (n) button.dataset.ready = n;
      else delete button.dataset.ready;
      button.title = n ? hint : title;
      if (n || button.hasAttribute("aria-label")) button.setAttribute("aria-label", name);
    }
    return drawing > 0;
  }

  #say(text) {
    if (!this.#region) {
      this.#region = document.createElement("p");
      this.#region.role = "status";
      this.#region.className = "ai-image-status";
      document.body.append(this.#region);
    }
    this.#region.textContent = text;
  }
}

/** The page's own. */
export const badges = new Badges();
