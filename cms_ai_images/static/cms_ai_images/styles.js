/** The styles as a group of cards: none first, then what the author likes; a star beside each says what that is. */
import { make, option, part, setText } from "./dom.js";

const SHOWN = 4;

export class Styles {
  #texts;
  #star;
  #all = false;

  /**
   * @param {{onFavourites: (slugs: string[]) => Promise<boolean>}} on - Told when a star was set or taken away; resolves
   *   with whether that is stored.
   */
  constructor(form, texts, { onFavourites }) {
    this.field = part(form, "styles-field");
    this.cards = part(form, "styles");
    this.more = part(form, "all-styles");
    this.#star = part(form, "star").content;
    this.#texts = texts;
    this.onFavourites = onFavourites;
    this.more.addEventListener("click", () => this.#toggleAll());
    this.cards.addEventListener("click", ({ target }) => {
      const star = target.closest("[aria-pressed]");
      if (star) this.#toggleStar(star);
    });
  }

  /** @param {object[]} presets - As the API lists them; `chosen` is a slug, empty for none. */
  fill(presets, chosen) {
    const none = { slug: "", name: this.#texts.get("style_none"), description: "", thumbnail_url: null };
    const liked = presets.filter(({ favourite }) => favourite);
    const others = presets.filter(({ favourite }) => !favourite);
    const checked = presets.some(({ slug }) => slug === chosen) ? chosen : "";
    const cards = [none, ...liked, ...others].map((preset) => this.#card(preset, preset.slug === checked));
    this.cards.replaceChildren(...cards);
    this.cards.classList.toggle("plain", !presets.some((preset) => preset.thumbnail_url));
    this.field.hidden = presets.length === 0;
    this.#arrange();
  }

  /** Choose by slug; a style that is not there any more leaves none chosen. */
  choose(slug) {
    const inputs = [...this.cards.querySelectorAll("input")];
    const input = inputs.find(({ value }) => value === slug) ?? inputs[0];
    if (input) input.checked = true;
    this.#arrange();
  }

  #card({ slug, name, description, thumbnail_url: url, favourite }, checked) {
    const picture = make("span", { className: "thumb", ariaHidden: "true" });
    if (url) picture.append(make("img", { src: url, alt: "", loading: "lazy" }));
    else if (slug) picture.append([...name][0]);
    const label = option({ name: "preset", value: slug, className: "pick", checked, title: description }, picture, name);
    const card = make("div", { className: "card" }, label);
    if (slug) {
      const star = this.#star.cloneNode(true).firstElementChild;
      star.setAttribute("aria-label", this.#texts.get("favourite_style", { style: name }));
      star.setAttribute("aria-pressed", String(Boolean(favourite)));
      star.value = slug;
      card.append(star);
    }
    return card;
  }

  /** The order stays as it is until the dialog is opened again: nothing jumps under the pointer. */
  async #toggleStar(star) {
    const before = star.getAttribute("aria-pressed");
    star.setAttribute("aria-pressed", String(before !== "true"));
    const liked = [...this.cards.querySelectorAll('[aria-pressed="true"]')].map(({ value }) => value);
    if (!(await this.onFavourites(liked))) star.setAttribute("aria-pressed", before);
  }

  #toggleAll() {
    this.#all = !this.#all;
    this.#arrange();
  }

  /** The first few, and always the chosen one. */
  #arrange() {
    const cards = [...this.cards.children];
    const isFew = cards.length <= SHOWN;
    const chosen = cards.findIndex((card) => card.querySelector("input").checked);
    const first = chosen < SHOWN ? SHOWN : SHOWN - 1;
    cards.forEach((card, index) => card.classList.toggle("more", index >= first && index !== chosen));
    this.cards.classList.toggle("all", isFew || this.#all);
    this.more.hidden = isFew;
    this.more.setAttribute("aria-expanded", String(this.#all));
    setText(this.more, this.#texts.get(this.#all ? "styles_fewer" : "styles_all", { n: cards.length - 1 }));
  }
}
