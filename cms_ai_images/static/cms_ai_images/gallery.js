/**
 * The boxes: one per picture, in the requested shape from the first moment, so that nothing jumps. They are a radio
 * group: arrows move in the grid, Space chooses, Enter or a double click opens the large view.
 */
import { make, option, part } from "./dom.js";
import { columnsFor } from "./layout.js";

/** What became of a picture whose bytes are gone without its author having thrown it away. */
const LOST = new Set(["purged", "accepted"]);

const WORDS = 62; // pixels: two lines of words about the chosen picture, with the space around the tools

export class Gallery {
  #texts;
  #images = [];
  #ratio = 1;

  /**
   * @param {{onChoose: Function, onOpen: Function}} handlers - `onChoose` is called with the image that was chosen, or
   *   null; `onOpen` with the one to be seen large.
   */
  constructor(root, texts, { onChoose, onOpen }) {
    this.boxes = part(root, "boxes");
    this.empty = part(root, "empty");
    this.#texts = texts;
    this.onChoose = onChoose;
    this.onOpen = onOpen;
    this.boxes.addEventListener("change", () => onChoose(this.chosen));
    this.boxes.addEventListener("keydown", (event) => this.#onKey(event));
    this.boxes.addEventListener("dblclick", ({ target }) => target.matches("input") && onOpen(this.chosen));
    this.pane = part(root, "results");
    this.below = part(root, "picture-actions");
    const observer = new ResizeObserver(() => this.#arrange());
    for (const element of [this.pane, this.boxes, this.below, part(root, "desk")]) observer.observe(element);
  }

  /** The pictures that can be chosen. */
  get images() {
    return this.#images;
  }

  get chosen() {
    const id = this.boxes.querySelector("input:checked")?.value;
    return this.#images.find((image) => image.id === id) ?? null;
  }

  /** How many are being drawn. */
  get expected() {
    return this.boxes.querySelectorAll(".waiting").length;
  }

  clear() {
    this.#images = [];
    this.#fill([]);
    this.onChoose(null);
  }

  /** Empty boxes for pictures that are being drawn. */
  expect(count, width, height) {
    const isThere = this.boxes.children.length === count && this.expected === count;
    if (isThere && this.#ratio === width / height) return;
    this.#images = [];
    this.#ratio = width / height;
    this.#fill(Array.from({ length: count }, () => shaped(make("div", { className: "box waiting" }), width, height)));
    this.onChoose(null);
  }

  /**
   * What is being drawn, small and blurred, in the boxes that wait for it.
   * @param {ImageBitmap[]} pictures
   */
  preview(pictures) {
    if (this.#images.length) return;
    pictures.forEach((picture, index) => {
      const box = this.boxes.children[index];
      if (!box) return;
      const { width, height } = picture;
      const canvas = box.querySelector("canvas") ?? make("canvas", { width, height });
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      if (!canvas.isConnected) box.replaceChildren(canvas);
      picture.close();
    });
  }

  /**
   * The pictures of a task; the one called `chosen` is chosen, else the first that can be. Those that their author
   * discarded are left out, those that are gone for another reason are said to be.
   */
  show(images, chosen = this.chosen?.id) {
    const shown = images.filter((image) => isThere(image) || LOST.has(image.state));
    this.#images = shown.filter(isThere);
    const kept = this.#images.some((image) => image.id === chosen) ? chosen : this.#images[0]?.id;
    if (shown.length) this.#ratio = shown[0].width / shown[0].height;
    this.#fill(shown.map((image) => (isThere(image) ? this.#box(image, image.id === kept) : this.#goneBox(image))));
    this.onChoose(this.chosen);
  }

  /** Choose `image`; the focus goes along where it is among the boxes. */
  choose(image) {
    const input = this.#input(image);
    if (!input) return;
    if (this.boxes.querySelector(":focus")) input.focus();
    if (input.checked) return;
    input.checked = true;
    this.onChoose(this.chosen);
  }

  /** Without `image`: its author threw it away. The one that stood beside it is chosen. */
  remove(image) {
    const index = this.#images.indexOf(image);
    const beside = this.#images[index + 1] ?? this.#images[index - 1];
    if (beside) this.#input(beside).checked = true;
    this.show(this.#images.filter((other) => other !== image));
  }

  replace(image) {
    this.show(this.#images.map((other) => (other.id === image.id ? image : other)));
  }

  /** Say that `image` is gone; it can no longer be chosen. */
  lose(image) {
    const label = this.#input(image)?.closest(".box");
    if (!label) return;
    const { chosen } = this;
    const hadFocus = label.matches(":focus-within");
    this.#images = this.#images.filter((other) => other.id !== image.id);
    label.replaceWith(this.#goneBox(image));
    if (chosen?.id !== image.id) return;
    if (this.#images.length) this.#input(this.#images[0]).checked = true;
    if (hadFocus) this.focus();
    this.onChoose(this.chosen);
  }

  focus() {
    this.boxes.querySelector("input:checked")?.focus();
  }

  // -- boxes -----------------------------------------------------------------------------------------------------------

  #input(image) {
    return [...this.boxes.querySelectorAll("input")].find((input) => input.value === image.id);
  }

  #fill(boxes) {
    const hadFocus = this.boxes.querySelector(":focus") !== null;
    this.boxes.replaceChildren(...boxes);
    this.boxes.hidden = boxes.length === 0;
    this.empty.hidden = boxes.length > 0;
    this.#arrange();
    if (hadFocus) this.focus();
  }

  #box(image, checked) {
    const name = this.#texts.get("picture", { n: this.#images.indexOf(image) + 1, total: this.#images.length });
    const picture = make("img", { src: image.preview_url ?? image.file_url ?? image.library.thumbnail_url, alt: name });
    const box = option({ name: "picture", value: image.id, className: "box", checked }, picture);
    if (image.library) box.append(make("span", { className: "mark" }, this.#texts.get("mark_library")));
    picture.addEventListener("error", () => this.#onMissing(image, picture));
    return shaped(box, image.width, image.height);
  }

  #goneBox(image) {
    const text = this.#texts.get(image.state === "purged" ? "picture_purged" : "picture_gone");
    return shaped(make("p", { className: "box gone" }, text), image.width, image.height);
  }

  /** Gone for good, or only out of reach: the browser tells an `<img>` neither, so the server is asked. */
  async #onMissing(image, picture) {
    const status = await fetch(picture.src, { credentials: "same-origin" }).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 404 || status === 410) this.lose(image);
    else picture.replaceWith(make("span", { className: "gone" }, this.#texts.get("picture_unreachable")));
  }

  // -- the grid --------------------------------------------------------------------------------------------------------

  #arrange() {
    const count = this.boxes.children.length;
    this.#measure();
    const { maxHeight, columnGap, width } = getComputedStyle(this.boxes);
    const room = { width: parseFloat(width), height: parseFloat(maxHeight), gap: parseFloat(columnGap) };
    if (!count || Object.values(room).some(Number.isNaN)) return; // not shown
    const columns = columnsFor(count, this.#ratio, room);
    this.boxes.style.setProperty("--ratio", this.#ratio);
    this.boxes.style.setProperty("--columns", columns);
    this.boxes.style.setProperty("--rows", Math.ceil(count / columns));
  }

  /** A pane that scrolls by itself shows pictures and tools at once: the pictures get the height that is left. */
  #measure() {
    const { overflowY, paddingBlockEnd } = getComputedStyle(this.pane);
    this.boxes.style.removeProperty("--room");
    if (overflowY !== "auto" || !this.boxes.clientWidth) return;
    const above = this.boxes.getBoundingClientRect().top - this.pane.getBoundingClientRect().top + this.pane.scrollTop;
    const tools = this.below.hidden ? 0 : this.below.querySelector(".tools").offsetHeight + WORDS;
    const room = this.pane.clientHeight - above - tools - parseFloat(paddingBlockEnd);
    this.boxes.style.setProperty("--room", `${Math.floor(room)}px`);
  }

  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inputs = [...this.boxes.querySelectorAll("input")];
    const index = inputs.indexOf(event.target);
    if (index < 0) return;
    if (event.key === "Enter") {
      event.preventDefault();
      inputs[index].click();
      this.onOpen(this.chosen);
      return;
    }
    const columns = Number(this.boxes.style.getPropertyValue("--columns")) || 1;
    const forward = getComputedStyle(this.boxes).direction === "rtl" ? -1 : 1;
    const step = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const target = { Home: 0, End: inputs.length - 1 }[event.key] ?? index + step;
    if (Number.isNaN(target)) return;
    event.preventDefault(); // the browser's own arrows know rows no better than columns
    // Choosing goes along with moving, as in any group of radio buttons.
    inputs[target]?.focus();
    inputs[target]?.click();
  }
}

const isThere = (image) => Boolean(image.preview_url || image.file_url || image.library);

function shaped(box, width, height) {
  box.style.setProperty("--ratio", width / height);
  return box;
}
