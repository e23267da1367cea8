/** What can be done with the chosen picture, in a row under the boxes, with its seed and settings. */
import { factsOf } from "./facts.js";
import { part, setText } from "./dom.js";
import { Viewer } from "./viewer.js";

export class PictureActions {
  #texts;
  #viewer;
  #image = null;
  #task = null;
  #images = [];

  /**
   * @param {{onUse: Function, onRefine: Function, onVariations: Function, onRecall: Function, onDiscard: Function,
   *   onLook: Function}} handlers - Each is called with an image. `onUse`: it was taken in the large view or while
   *   comparing; `onLook`: it was looked at there, so it is the chosen one now.
   */
  constructor(root, texts, handlers) {
    this.row = part(root, "picture-actions");
    this.prompt = part(root, "picture-prompt");
    this.facts = part(root, "picture-facts");
    this.download = part(root, "picture-download");
    this.#texts = texts;
    const { onUse, onLook, onRefine, onVariations, onRecall, onDiscard } = handlers;
    this.#viewer = new Viewer(root, texts, { onUse, onLook });
    const acts = {
      large: (image) => this.open(image),
      compare: (image) => this.#compare(image),
      recall: onRecall,
      refine: onRefine,
      variations: onVariations,
      discard: onDiscard,
    };
    this.row.addEventListener("click", ({ target }) => acts[target.closest("[data-picture]")?.dataset.picture]?.(this.#image));
  }

  /**
   * Offer what can be done with `image` of `task`, or nothing for null.
   * @param {object[]} images - Those that it stands beside.
   * @param {number} [coming] - How many are being drawn: for them there is room for what can be done, but nothing in it.
   */
  show(image, task, images, coming = 0) {
    this.#image = image;
    this.#task = task;
    this.#images = images;
    this.row.hidden = !image && !coming;
    this.row.classList.toggle("coming", !image);
    this.#button("compare").hidden = Math.max(images.length, coming) < 2;
    this.#button("discard").hidden = Boolean(image?.library);
    this.download.hidden = Boolean(image) && !image.download_url;
    if (!image) return;
    setText(this.prompt, task.prompt);
    setText(this.facts, factsOf(image, task, this.#texts));
    this.download.href = image.download_url ?? "";
  }

  /** See `image` large. */
  open(image) {
    this.#viewer.open(this.#images, this.#task, image);
  }

  #compare(image) {
    const index = this.#images.indexOf(image);
    const beside = this.#images[index + 1] ?? this.#images[index - 1];
    // In the order in which they stand in the grid.
    const pair = this.#images.filter((other) => other === image || other === beside);
    this.#viewer.open(this.#images, this.#task, image, pair);
  }

  #button(name) {
    return this.row.querySelector(`[data-picture="${name}"]`);
  }
}
