/**
 * The focal point: what stays in sight wherever the picture is cropped. One point for those who see it (click, drag or
 * arrow keys), two sliders for everybody else.
 */
import { part, setText } from "./dom.js";

const CENTRE = [0.5, 0.5];
const FINE = 1; // percent
const COARSE = 10;

export class FocalPoint {
  #texts;
  #at = CENTRE;

  /** @param {Function} onChange - Called when the author has moved it. */
  constructor(root, texts, onChange) {
    this.area = part(root, "focal-area");
    this.picture = part(root, "focal-picture");
    this.sliders = [part(root, "focal-x"), part(root, "focal-y")];
    this.words = part(root, "focal-words");
    this.reset = part(root, "focal-reset");
    this.#texts = texts;
    this.onChange = onChange;
    this.area.addEventListener("pointerdown", (event) => this.#onPointer(event));
    this.area.addEventListener("pointermove", (event) => this.area.hasPointerCapture(event.pointerId) && this.#to(event));
    this.area.addEventListener("click", (event) => this.#to(event));
    for (const slider of this.sliders) {
      slider.addEventListener("keydown", (event) => this.#onKey(event));
      slider.addEventListener("input", () => this.#move(this.sliders.map(({ valueAsNumber }) => valueAsNumber / 100)));
    }
    this.reset.addEventListener("click", () => {
      this.#move(CENTRE);
      this.sliders[0].focus(); // the button goes
    });
  }

  /** [from the left, from the top], each 0 to 1. */
  get value() {
    return this.#at;
  }

  set value(at) {
    this.#at = at ?? CENTRE;
    this.#render();
  }

  get isCentre() {
    return this.#percents.every((percent) => percent === 50);
  }

  get #percents() {
    return this.#at.map((part) => Math.round(part * 100));
  }

  #move(at) {
    // Whole percents are exact enough, and what the sliders can say.
    this.#at = at.map((part) => Math.round(Math.min(Math.max(part, 0), 1) * 100) / 100);
    this.#render();
    this.onChange();
  }

  /** A mouse drags it; a finger only taps, so that it can scroll past the picture. */
  #onPointer(event) {
    if (event.button !== 0) return;
    event.preventDefault(); // else the browser drags the picture itself, and takes the focus away again
    this.sliders[0].focus({ preventScroll: true, focusVisible: false });
    if (event.pointerType !== "touch") this.area.setPointerCapture(event.pointerId);
  }

  #to({ clientX, clientY }) {
    const { left, top, width, height } = this.picture.getBoundingClientRect();
    if (width && height) this.#move([(clientX - left) / width, (clientY - top) / height]);
  }

  /** Left and right move it sideways, up and down along, on whichever slider the focus is. */
  #onKey(event) {
    const step = (event.shiftKey ? COARSE : FINE) / 100;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    this.#move(this.#at.map((part, axis) => part + way[axis] * step));
  }

  #render() {
    const percents = this.#percents;
    ["--x", "--y"].forEach((name, axis) => this.area.style.setProperty(name, `${percents[axis]}%`));
    const values = { x: percents[0], y: percents[1] };
    ["focal_x", "focal_y"].forEach((name, axis) => {
      this.sliders[axis].value = percents[axis];
      this.sliders[axis].setAttribute("aria-valuetext", this.#texts.get(name, values));
    });
    setText(this.words, this.isCentre ? this.#texts.get("focal_centre") : this.#texts.get("focal_at", values));
    this.reset.hidden = this.isCentre;
  }
}
