/**
 * The right pane: one box per picture, in the requested shape from the first moment, so that nothing jumps.
 */
import { make, option, part, setText } from "./dom.js";

export class Gallery {
  #texts;
  #images = [];

  /** @param {Function} onChoose - Called with the image that was chosen, or null. */
  constructor(root, texts, onChoose) {
    this.boxes = part(root, "boxes");
    this.empty = part(root, "empty");
    this.#texts = texts;
    this.onChoose = onChoose;
    this.boxes.addEventListener("change", () => onChoose(this.chosen));
  }

  get images() {
    return this.#images;
  }

  get chosen() {
    const id = this.boxes.querySelector("input:checked")?.value;
    return this.#images.find((image) => image.id === id) ?? null;
  }

  clear() {
    this.#images = [];
    this.#fill([]);
    this.onChoose(null);
  }

  /** Empty boxes for pictures that are being drawn. */
  expect(count, width, height) {
    if (this.#images.length === 0 && this.boxes.children.length === count) return;
    this.#images = [];
    this.#fill(Array.from({ length: count }, () => shaped(make("div", { className: "box waiting" }), width, height)));
    this.onChoose(null);
  }

  /** What is being drawn, small and blurred, in the boxes that wait for it. */
  preview(urls) {
    if (this.#images.length) return;
    urls.forEach((url, index) => {
      const box = this.boxes.children[index];
      const picture = make("img", { alt: "" });
      // Shown when it is there, so that the box does not flicker from one to the next.
      picture.addEventListener("load", () => box?.isConnected && box.replaceChildren(picture));
      picture.src = url;
    });
  }

  /** The pictures of a task that can be chosen; the first is, or the one that was chosen before. */
  show(images) {
    const before = this.chosen?.id;
    this.#images = images.filter((image) => image.preview_url || image.file_url || image.library);
    const kept = this.#images.some((image) => image.id === before) ? before : this.#images[0]?.id;
    this.#fill(this.#images.map((image, index) => this.#box(image, index, image.id === kept)));
    this.onChoose(this.chosen);
  }

  remove(image) {
    this.show(this.#images.filter((other) => other.id !== image.id));
  }

  replace(image) {
    this.#images = this.#images.map((other) => (other.id === image.id ? image : other));
  }

  focus() {
    this.boxes.querySelector("input:checked")?.focus();
  }

  #fill(boxes) {
    this.boxes.replaceChildren(...boxes);
    this.boxes.dataset.count = boxes.length;
    this.boxes.hidden = boxes.length === 0;
    this.empty.hidden = boxes.length > 0;
  }

  #box(image, index, checked) {
    const name = this.#texts.get("picture", { n: index + 1, total: this.#images.length });
    const picture = make("img", { src: image.preview_url ?? image.file_url ?? image.library.thumbnail_url, alt: name });
    const box = option({ name: "picture", value: image.id, className: "box", checked }, picture);
    picture.addEventListener("error", () => {
      box.classList.add("gone");
      setText(box.appendChild(make("span")), this.#texts.get("picture_gone"));
      picture.remove();
    });
    return shaped(box, image.width, image.height);
  }
}

function shaped(box, width, height) {
  box.style.setProperty("--ratio", width / height);
  return box;
}
