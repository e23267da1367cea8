/**
 * Pictures seen large, above the dialog: one alone, or two side by side. Both are the same native dialog, so that
 * Escape closes it alone and the focus goes back where it was.
 */
import { seedOf, settingsOf } from "./facts.js";
import { make, part, setText } from "./dom.js";

export class Viewer {
  #texts;
  #images = [];
  #sides = [];
  #last = null; // the image that was looked at last

  /**
   * @param {{onUse: Function, onLook: Function}} handlers - Called with the image to be used; with the one that is
   *   looked at, and once more when that is over and the focus is back.
   */
  constructor(root, texts, { onUse, onLook }) {
    this.dialog = part(root, "viewer");
    this.title = part(root, "viewer-title");
    this.stage = part(root, "viewer-stage");
    this.prompt = part(root, "viewer-prompt");
    this.settings = part(root, "viewer-settings");
    this.sideTemplate = part(root, "viewer-side");
    this.#texts = texts;
    this.onUse = onUse;
    this.onLook = onLook;
    this.dialog.addEventListener("click", (event) => this.#onClick(event));
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("close", (event) => {
      event.stopPropagation();
      this.stage.replaceChildren(); // large pictures need not stay in memory
      this.onLook(this.#last);
    });
  }

  /**
   * @param {object[]} images - All that can be looked at; `task` drew them.
   * @param {object} chosen - One of them.
   * @param {object[]} shown - What is seen first: the chosen one alone, or two side by side.
   */
  open(images, task, chosen, shown = [chosen]) {
    this.#images = images;
    this.#last = chosen;
    const isPair = shown.length > 1;
    setText(this.title, this.#texts.get(isPair ? "viewer_compare" : "viewer_large"));
    setText(this.prompt, task.prompt);
    setText(this.settings, settingsOf(shown[0], task, this.#texts));
    this.dialog.dataset.sides = shown.length;
    this.#sides = shown.map((image) => ({ image, element: this.sideTemplate.content.firstElementChild.cloneNode(true) }));
    this.#sides.forEach((side, index) => this.#show(side, shown[index]));
    this.stage.replaceChildren(...this.#sides.map(({ element }) => element));
    if (!this.dialog.open) this.dialog.showModal();
    part(this.#sides[0].element, "side-use").focus();
  }

  #show(side, image) {
    const { element } = side;
    const place = { n: this.#images.indexOf(image) + 1, total: this.#images.length };
    const name = this.#texts.get("picture", place);
    const picture = make("img", { alt: name, width: image.width, height: image.height });
    picture.addEventListener("error", () => {
      picture.replaceWith(make("p", { className: "gone" }, this.#texts.get("picture_unreachable")));
    });
    picture.src = image.file_url ?? image.library.url;
    side.image = image;
    element.style.setProperty("--ratio", image.width / image.height);
    element.setAttribute("aria-label", name);
    part(element, "side-picture").replaceChildren(picture);
    setText(part(element, "side-name"), name);
    setText(part(element, "side-seed"), seedOf(image, this.#texts));
    const others = this.#images.length - this.#sides.length;
    for (const button of element.querySelectorAll("[data-step]")) button.hidden = others < 1;
  }

  /** The next picture (`way` 1) or the one before (-1), past one that is beside it already. */
  #step(side, way) {
    const { length } = this.#images;
    if (length <= this.#sides.length) return;
    let index = this.#images.indexOf(side.image);
    do index = (index + way + length) % length;
    while (this.#sides.some((other) => other.image === this.#images[index]));
    this.#show(side, this.#images[index]);
    this.#look(side.image);
  }

  #look(image) {
    this.#last = image;
    this.onLook(image);
  }

  #sideOf(target) {
    return this.#sides.find(({ element }) => element.contains(target)) ?? this.#sides.at(-1);
  }

  #onClick({ target }) {
    const button = target.closest("button");
    if (!button) return;
    if (button.dataset.viewer === "close") this.dialog.close();
    if (button.dataset.viewer === "use") this.#use(this.#sideOf(button).image);
    if (button.dataset.step) this.#step(this.#sideOf(button), Number(button.dataset.step));
  }

  #use(image) {
    this.#last = image;
    this.dialog.close();
    this.onUse(image);
  }

  #onKey(event) {
    if (event.key === "Escape") return; // the browser's
    event.stopPropagation(); // what the keys do in the dialog below they do not do here
    const forward = getComputedStyle(this.dialog).direction === "rtl" ? -1 : 1;
    const way = { ArrowRight: forward, ArrowLeft: -forward }[event.key];
    if (way) this.#step(this.#sideOf(event.target), way);
  }
}
