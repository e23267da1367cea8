/**
 * The left pane: what to draw. Brings its parts together, reads what they say, and shows errors where they belong.
 */
import { Advanced } from "./advanced.js";
import { Problem } from "./api.js";
import { Cost } from "./cost.js";
import { part, setText } from "./dom.js";
import { Favourites } from "./favourites.js";
import { FieldErrors } from "./field_errors.js";
import { planOf } from "./plan.js";
import { Prompt } from "./prompt.js";
import { Shapes } from "./shapes.js";
import { Styles } from "./styles.js";

/** The API's names for inputs that have no control of their own here. */
const SHOWN_AT = { width: "size", height: "size" };
const CHOICES = ["preset", "model", "size", "num_images", "quality"];

export class Compose {
  #texts;
  #api;
  #presets = [];
  #models = [];
  #filled = false;
  #refined = null; // the seed that a picture is refined with

  /**
   * @param {ShadowRoot} root
   * @param {import("./texts.js").Texts} texts
   * @param {{api: import("./api.js").ImagesAPI, onProblem: Function}} options - `onProblem` is told when a favourite
   *   could not be stored.
   */
  constructor(root, texts, { api, onProblem }) {
    this.form = root.querySelector("#compose");
    this.text = new Prompt(this.form, texts);
    this.prompt = this.text.input;
    this.note = part(this.form, "refining");
    this.styles = new Styles(this.form, texts, {
      onFavourites: (slugs) => this.#like(slugs, onProblem),
    });
    this.shapes = new Shapes(this.form, texts);
    this.advanced = new Advanced(this.form, texts);
    this.cost = new Cost(root, texts);
    this.errors = new FieldErrors(this.form);
    this.favourites = new Favourites(this.form, texts, {
      api,
      settings: () => this.settings(),
      onApply: (settings) => this.apply(settings),
      onProblem,
    });
    this.#texts = texts;
    this.#api = api;
    this.form.addEventListener("input", (event) => this.#onInput(event.target));
    this.form.addEventListener("change", (event) => this.#onChange(event.target));
    this.form.addEventListener("click", ({ target }) => {
      if (target.dataset.start === "no-seed") this.#stopRefining();
    });
  }

  // -- what can be chosen ----------------------------------------------------------------------------------------------

  /** Show what can be chosen. What was chosen before stays; at the first time it is what the author chose last. */
  fill({ presets, models, preferences, credits, limits }) {
    const chosen = this.#filled ? this.settings() : (preferences?.last ?? {});
    this.#presets = presets;
    this.#models = models;
    if (limits) {
      this.text.limit = limits.max_prompt_length;
      this.advanced.mayHurry = limits.may.high_priority;
    }
    this.advanced.setModels(models);
    this.styles.fill(presets, chosen.preset);
    if (preferences) this.favourites.fill(preferences.favourites);
    this.cost.credits = credits;
    this.#follow(chosen);
    if (!this.#filled) this.apply(chosen);
    this.#filled = true;
  }

  /** Points are spent by asking and come back with what fails. */
  set credits(credits) {
    this.cost.credits = credits;
    this.#price();
  }

  /** Offer texts of the page as a start. */
  offer(starts) {
    this.text.offer(starts);
  }

  /** The model that would draw. */
  get model() {
    return this.#plan().model;
  }

  // -- what is chosen --------------------------------------------------------------------------------------------------

  /** All but the prompt, as preferences and favourites keep it. What the style locks is left out. */
  settings() {
    const { preset, size, num_images: count, quality } = this.#chosen();
    const { negative_prompt: negative, ...advanced } = this.advanced.settings;
    const settings = { preset, size: size || "auto", num_images: Number(count || 1), quality, ...advanced };
    if (negative !== undefined) settings.negative_prompt = negative;
    return settings;
  }

  /** Set the form to `settings`; what they do not name is as usual, what is not there any more is left out. */
  apply(settings) {
    this.#stopRefining();
    this.clearErrors();
    this.styles.choose(settings.preset ?? "");
    this.#follow(settings);
    this.advanced.apply(settings);
    this.#follow(settings);
  }

  /** The body of `POST tasks/`. */
  request() {
    const { size, num_images: count, ...rest } = this.settings();
    const request = { prompt: this.prompt.value.trim(), num_images: count };
    if (size !== "auto") [request.width, request.height] = size.split("x").map(Number);
    for (const [name, value] of Object.entries(rest)) if (value !== "" && value !== null) request[name] = value;
    return request;
  }

  /** What is wrong before the server is asked: [{field, detail}]. */
  mistakes() {
    const errors = this.advanced.mistakes();
    if (!this.prompt.value.trim()) errors.unshift({ field: "prompt", detail: this.#texts.get("prompt_empty") });
    return errors;
  }

  setPrompt(text) {
    this.text.replace(text);
  }

  /** Set the form as it was when `task` was asked for, with `seed` if there is one. */
  restore(task, { seed = null } = {}) {
    this.setPrompt(task.prompt);
    const { preset, model, quality } = task;
    const plan = planOf(this.#choices, { preset: preset?.slug, model: model?.slug, quality });
    this.apply({ ...settingsOf(task, plan), seed });
  }

  /** Change the words and keep the rest: the settings of `task` and the seed of `image`. */
  refine(task, image) {
    this.restore(task, { seed: image.seed });
    this.#refined = String(image.seed);
    setText(this.note.firstElementChild, this.#texts.get("refining", { seed: image.seed }));
    this.note.hidden = false;
    this.prompt.focus();
    this.prompt.setSelectionRange(this.prompt.value.length, this.prompt.value.length); // to go on, not to begin anew
  }

  /** After `task` was asked for with `settings`: they are where the next picture starts, here and elsewhere. */
  remember({ seed: _seed, ...settings }, task) {
    this.advanced.seed.tell(task.seed); // so that it can be kept afterwards; it belongs to the picture, not to the author
    // Only a convenience: what went wrong with it is not the author's business.
    this.#api.savePreferences({ last: settings }).catch((problem) => console.warn("Not remembered:", problem));
  }

  // -- errors ----------------------------------------------------------------------------------------------------------

  /** Show errors at their fields, go to the first, and return those that belong to no field. */
  showErrors(errors) {
    const elsewhere = this.errors.show(errors.map((error) => ({ ...error, field: SHOWN_AT[error.field] ?? error.field })));
    return errors.filter(({ detail }) => elsewhere.some((error) => error.detail === detail));
  }

  clearErrors() {
    this.errors.clear();
  }

  /** Whether the favourite styles could be stored. */
  async #like(slugs, onProblem) {
    try {
      await this.#api.savePreferences({ favourite_presets: slugs });
      return true;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      onProblem(problem);
      return false;
    }
  }

  // -- events ----------------------------------------------------------------------------------------------------------

  #onInput(control) {
    this.errors.clear(control);
    if (control === this.advanced.seed.input && control.value !== this.#refined) this.#stopRefining(false);
    if (control.name === "num_images") this.#price();
  }

  #onChange(control) {
    if (["preset", "model", "quality"].includes(control.name)) this.#follow(this.#chosen());
  }

  get #choices() {
    return { presets: this.#presets, models: this.#models };
  }

  #chosen() {
    const data = new FormData(this.form);
    return Object.fromEntries(CHOICES.map((name) => [name, data.get(name) ?? ""]));
  }

  #plan(chosen = {}) {
    return planOf(this.#choices, { ...this.#chosen(), ...chosen });
  }

  /** What depends on model and style, after either has changed. */
  #follow({ size, num_images: count, quality = "" }) {
    const plan = this.#plan({ quality });
    this.shapes.fill(plan, { size, num_images: count });
    this.advanced.show(plan);
    this.#price();
  }

  #price() {
    this.cost.show(this.#plan(), Number(this.#chosen().num_images || 1));
  }

  #stopRefining(clearSeed = true) {
    if (this.#refined === null) return;
    this.#refined = null;
    this.note.hidden = true;
    if (clearSeed) this.advanced.seed.keep("");
    this.prompt.focus();
  }
}

/** How the form has to be set to ask for `task` again. What is as usual anyway stays open. */
function settingsOf(task, plan) {
  const own = (name) => (task[name] === plan.value(name) ? null : task[name]);
  return {
    preset: task.preset?.slug ?? "",
    model: plan.usual?.slug === task.model?.slug ? "" : (task.model?.slug ?? ""),
    size: plan.size.join() === [task.width, task.height].join() ? "auto" : `${task.width}x${task.height}`,
    num_images: task.num_images,
    quality: task.quality,
    negative_prompt: task.negative_prompt,
    steps: own("steps"),
    guidance_scale: own("guidance_scale"),
    output_format: own("output_format") ?? "",
    priority: task.priority,
  };
}
