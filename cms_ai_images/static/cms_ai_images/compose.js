/**
 * The left pane: what to draw. Fills its choices from the API, reads them, and shows errors at the field they belong to.
 */
import { make, option, part, setText } from "./dom.js";
import { ratioName } from "./ratio.js";

const COUNTS = [1, 2, 3, 4, 6, 9];
const MAX_SEED = 2 ** 32 - 1;
/** The API's names for inputs that have no control of their own here. */
const SHOWN_AT = { width: "size", height: "size" };

export class Compose {
  #texts;
  #presets = [];
  #models = [];
  #promptLimit = Infinity;

  constructor(root, texts) {
    this.root = root;
    this.form = root.querySelector("#compose");
    this.prompt = root.querySelector("#prompt");
    this.#texts = texts;
    this.form.addEventListener("input", (event) => this.#onInput(event.target));
    this.form.addEventListener("change", (event) => this.#onChange(event.target));
    this.form.addEventListener("click", (event) => {
      if (event.target.dataset.action === "example") this.setPrompt(event.target.textContent);
    });
  }

  /** Show what can be chosen, keeping what was chosen before. */
  fill({ presets, models, promptLimit }) {
    const chosen = this.#chosen();
    this.#presets = presets;
    this.#models = models;
    this.#promptLimit = promptLimit || Infinity;
    this.#fillStyles(chosen.preset);
    this.#fillModels(chosen.model);
    this.#fillSizes(chosen.size);
    this.#fillCounts(chosen.num_images);
    this.#count();
  }

  /** The body of `POST tasks/`. */
  request() {
    const { preset, model, size, num_images: count } = this.#chosen();
    const negative = this.form.elements.negative_prompt.value.trim();
    const seed = this.form.elements.seed.value.trim();
    const request = { prompt: this.prompt.value.trim(), num_images: Number(count || 1) };
    if (preset) request.preset = preset;
    if (model) request.model = model;
    if (size) [request.width, request.height] = size.split("x").map(Number);
    if (negative) request.negative_prompt = negative;
    if (seed) request.seed = Number(seed);
    return request;
  }

  /** What is wrong before the server is asked: [{field, detail}]. */
  mistakes() {
    const errors = [];
    const seed = this.form.elements.seed.value.trim();
    if (!this.prompt.value.trim()) errors.push({ field: "prompt", detail: this.#texts.get("prompt_empty") });
    if (seed && !(/^\d+$/.test(seed) && Number(seed) <= MAX_SEED)) {
      errors.push({ field: "seed", detail: this.#texts.get("seed_invalid") });
    }
    return errors;
  }

  /** Offer texts of the page as a start. */
  offer() {}

  /** Change the words of `task` and keep the seed of `image`. */
  refine(task, image) {
    this.restore(task, { seed: image.seed });
    this.prompt.focus();
  }

  /** Set the form as it was when `task` was asked for, with `seed` if there is one. */
  restore(task, { seed = "" } = {}) {
    this.form.elements.seed.value = seed;
    this.setPrompt(task.prompt);
    this.#check("preset", task.preset?.slug ?? "");
    if (task.model) this.#check("model", task.model.slug);
    this.#fillSizes(`${task.width}x${task.height}`);
    this.#fillCounts(String(task.num_images));
    this.form.elements.negative_prompt.value = task.negative_prompt ?? "";
  }

  setPrompt(text) {
    this.prompt.value = text;
    this.prompt.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** Show errors at their fields, go to the first, and return those that belong to no field. */
  showErrors(errors) {
    const elsewhere = [];
    let first = null;
    for (const error of errors) {
      const name = SHOWN_AT[error.field] ?? error.field;
      const field = name && this.form.querySelector(`[data-field="${name}"]`);
      if (!field || field.hidden) {
        elsewhere.push(error);
        continue;
      }
      const message = field.querySelector(".error-text");
      message.textContent = error.detail;
      message.hidden = false;
      field.classList.add("invalid");
      // A radio button cannot be invalid by itself: its group is described by the message.
      for (const control of controls(field)) if (control.type !== "radio") control.setAttribute("aria-invalid", "true");
      field.closest("details")?.setAttribute("open", "");
      first ??= field;
    }
    (first?.querySelector(":checked") ?? first?.querySelector("textarea, select, input"))?.focus();
    first?.scrollIntoView({ block: "nearest" }); // with its message
    return elsewhere;
  }

  clearErrors(within = this.form) {
    for (const message of within.querySelectorAll(".error-text:not([hidden])")) {
      message.hidden = true;
      const field = message.closest("[data-field]");
      field.classList.remove("invalid");
      for (const control of controls(field)) control.removeAttribute("aria-invalid");
    }
  }

  // -- choices ---------------------------------------------------------------------------------------------------------

  #chosen() {
    const data = new FormData(this.form);
    return Object.fromEntries(["preset", "model", "size", "num_images"].map((name) => [name, data.get(name) ?? ""]));
  }

  #check(name, value) {
    for (const control of this.form.querySelectorAll(`[name="${name}"]`)) {
      if (control.type === "radio") control.checked = control.value === value;
      else if ([...control.options].some((choice) => choice.value === value)) control.value = value;
    }
  }

  /** The model that will draw: the style's own, else the chosen one, else the default. */
  get model() {
    const { preset, model } = this.#chosen();
    const wanted = this.#presets.find(({ slug }) => slug === preset)?.model || model;
    const by = (test) => this.#models.find(test);
    return by(({ slug }) => slug === wanted) ?? by((candidate) => candidate.is_default) ?? this.#models[0];
  }

  #fillStyles(chosen) {
    const none = { slug: "", name: this.#texts.get("style_none"), description: "", thumbnail_url: null };
    const known = this.#presets.some(({ slug }) => slug === chosen);
    const cards = [none, ...this.#presets].map(({ slug, name, description, thumbnail_url: url }) => {
      const picture = make("span", { className: "thumb" });
      if (url) picture.append(make("img", { src: url, alt: "", loading: "lazy" }));
      else if (slug) picture.append(name.slice(0, 1));
      const checked = known ? slug === chosen : !slug;
      return option({ name: "preset", value: slug, className: "card", checked, title: description }, picture, name);
    });
    const styles = part(this.form, "styles");
    styles.replaceChildren(...cards);
    styles.classList.toggle("plain", !this.#presets.some((preset) => preset.thumbnail_url));
    part(this.form, "styles-field").hidden = this.#presets.length === 0;
  }

  #fillModels(chosen) {
    const select = this.form.elements.model;
    const fallback = this.#models.find((model) => model.is_default) ?? this.#models[0];
    select.replaceChildren(
      ...this.#models.map(({ slug, label, available }) => {
        const text = available ? label : this.#texts.get("model_unavailable", { model: label });
        return make("option", { value: slug, selected: slug === (chosen || fallback?.slug) }, text);
      }),
    );
    part(this.form, "models-field").hidden = this.#models.length < 2;
    this.#describeModel();
  }

  #describeModel() {
    const model = this.#models.find(({ slug }) => slug === this.form.elements.model.value);
    setText(this.form.querySelector("#model-hint"), model?.description ?? "");
  }

  #fillSizes(chosen) {
    const sizes = this.model?.sizes ?? [];
    const values = sizes.map(([width, height]) => `${width}x${height}`);
    const names = sizes.map(([width, height]) => ratioName(width, height));
    const checked = values.includes(chosen) ? chosen : values[0];
    const segments = sizes.map(([width, height], index) => {
      const shape = make("span", { className: height > width ? "shape tall" : "shape" });
      shape.style.aspectRatio = `${width} / ${height}`;
      const pixels = `${width} × ${height}`;
      const unique = names.filter((name) => name === names[index]).length === 1;
      return option(
        {
          name: "size",
          value: values[index],
          className: "segment",
          checked: values[index] === checked,
          title: this.#texts.get("size_pixels", { width, height }),
        },
        make("span", { className: "shape-room" }, shape),
        unique ? names[index] : pixels,
      );
    });
    part(this.form, "sizes").replaceChildren(...segments);
    const preset = this.#presets.find(({ slug }) => slug === this.#chosen().preset);
    const locked = ["width", "height"].some((name) => preset?.locked?.includes(name));
    const field = part(this.form, "sizes-field");
    field.disabled = locked; // a disabled control is not sent: the style decides
    field.hidden = sizes.length < 2 || locked;
  }

  #fillCounts(chosen) {
    const most = this.model?.max_images ?? 1;
    const counts = COUNTS.filter((count) => count <= most);
    const wanted = counts.map(String).includes(chosen) ? chosen : String(Math.min(2, most));
    part(this.form, "counts").replaceChildren(
      ...counts.map((count) =>
        option({ name: "num_images", value: count, className: "segment", checked: String(count) === wanted }, `${count}`),
      ),
    );
    part(this.form, "counts-field").hidden = counts.length < 2;
  }

  // -- events ----------------------------------------------------------------------------------------------------------

  #onInput(control) {
    const field = control.closest("[data-field]");
    if (field) this.clearErrors(field);
    if (control === this.prompt) this.#count();
  }

  #onChange(control) {
    if (control.name !== "preset" && control.name !== "model") return;
    const { size, num_images: count } = this.#chosen();
    this.#fillSizes(size);
    this.#fillCounts(count);
    this.#describeModel();
  }

  /** Examples while the prompt is empty; how long it may be when it gets long. */
  #count() {
    const used = promptLength(this.prompt.value);
    part(this.form, "examples").hidden = this.prompt.value !== "";
    const near = used > this.#promptLimit * 0.8;
    const text = near ? this.#texts.get("counter", { used, limit: this.#promptLimit }) : "";
    setText(part(this.form, "counter"), text);
  }
}

const controls = (field) => [...field.querySelectorAll("textarea, select, input")];

/** As the server counts: composed characters, not UTF-16 units, without control characters and outer space. */
export function promptLength(text) {
  const shown = text.normalize("NFC").replace(/[\p{Cc}\p{Cs}]/gu, (char) => ("\n\t".includes(char) ? char : ""));
  return [...shown.trim()].length;
}
