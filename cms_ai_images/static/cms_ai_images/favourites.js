/** Sets of settings that the author has saved under a name: apply one, delete one (and take that back), save one. */
import { Problem } from "./api.js";
import { make, part } from "./dom.js";
import { FieldErrors } from "./field_errors.js";

export class Favourites {
  #texts;
  #api;
  #options;
  #saved = [];
  #removed = null; // the last one that was deleted, until something else happens

  /**
   * @param {{api: import("./api.js").ImagesAPI, settings: Function, onApply: Function, onProblem: Function}} options -
   *   `settings()` is what would be saved, `onApply(settings)` puts it into the form.
   */
  constructor(form, texts, options) {
    this.section = part(form, "favourites");
    this.list = part(form, "favourites-list");
    this.opener = part(form, "favourite-new");
    this.row = part(form, "favourite-form");
    this.name = form.querySelector("#favourite-name");
    this.icon = part(form, "remove-icon").content;
    this.errors = new FieldErrors(form);
    this.#texts = texts;
    this.#api = options.api;
    this.#options = options;
    this.opener.addEventListener("click", () => this.#open(this.row.hidden));
    part(form, "favourite-save").addEventListener("click", () => this.#save());
    this.name.addEventListener("keydown", (event) => this.#onKey(event));
    this.list.addEventListener("click", ({ target }) => this.#onClick(target.closest("button")));
  }

  /** @param {{id: string, name: string, settings: object}[]} favourites */
  fill(favourites) {
    this.#saved = favourites;
    this.#render();
  }

  #render() {
    const items = this.#saved.map(({ id, name }) => {
      const apply = make("button", { type: "button", className: "chip", value: id }, name);
      const label = this.#texts.get("favourite_delete", { name });
      const remove = make("button", { type: "button", className: "icon-button small", value: id, title: label });
      remove.setAttribute("aria-label", label);
      remove.dataset.remove = "";
      remove.append(this.icon.cloneNode(true));
      return make("li", {}, apply, remove);
    });
    if (this.#removed) {
      const undo = make("button", { type: "button", className: "link-button" }, this.#texts.get("undo"));
      undo.dataset.undo = "";
      const said = this.#texts.get("favourite_deleted", { name: this.#removed.name });
      items.push(make("li", { className: "hint" }, `${said} `, undo));
    }
    this.list.replaceChildren(...items);
    this.list.hidden = items.length === 0;
    this.section.hidden = false;
  }

  #onClick(button) {
    if (!button) return;
    const favourite = this.#saved.find(({ id }) => id === button.value);
    if ("undo" in button.dataset) this.#attempt(() => this.#restore());
    else if ("remove" in button.dataset) this.#attempt(() => this.#remove(favourite));
    else this.#options.onApply(favourite.settings);
  }

  /** Enter saves; it would ask for pictures otherwise. Escape closes this row, not the dialog. */
  #onKey(event) {
    if (event.key === "Escape") {
      this.#open(false);
      this.opener.focus();
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) this.#save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #open(isOpen) {
    this.row.hidden = !isOpen;
    this.opener.setAttribute("aria-expanded", String(isOpen));
    this.errors.clear(this.name);
    if (isOpen) this.name.focus();
  }

  #save() {
    const name = this.name.value.trim();
    this.errors.clear(this.name);
    if (!name) {
      this.errors.show([{ field: "name", detail: this.#texts.get("favourite_nameless") }]);
      return;
    }
    this.#attempt(async () => {
      const favourite = await this.#api.addFavourite(name, this.#options.settings());
      this.#removed = null;
      this.#saved = [...this.#saved, favourite];
      this.name.value = "";
      this.#open(false);
      this.#render();
      this.#focus(favourite.id);
    });
  }

  async #remove(favourite) {
    await this.#api.removeFavourite(favourite.id);
    this.#removed = favourite;
    this.#saved = this.#saved.filter((other) => other !== favourite);
    this.#render();
    this.list.querySelector("[data-undo]").focus();
  }

  async #restore() {
    const { name, settings } = this.#removed;
    const favourite = await this.#api.addFavourite(name, settings);
    this.#removed = null;
    this.#saved = [...this.#saved, favourite];
    this.#render();
    this.#focus(favourite.id);
  }

  #focus(id) {
    [...this.list.querySelectorAll("button")].find(({ value }) => value === id)?.focus();
  }

  async #attempt(act) {
    try {
      await act();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      const elsewhere = this.errors.show(problem.errors);
      if (problem.errors.length === 0 || elsewhere.length) this.#options.onProblem(problem);
    }
  }
}
