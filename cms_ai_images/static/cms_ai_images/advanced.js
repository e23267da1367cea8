/** What most authors never need: model, steps, seed and their like. Says what the style has locked, and what differs. */
import { make, part, setText } from "./dom.js";
import { Seed } from "./seed.js";

const LIMITED = ["steps", "guidance_scale"];
const LOCKABLE = ["model", "negative_prompt", ...LIMITED, "seed", "output_format"];
const USUAL = { model: "", negative_prompt: "", steps: "", guidance_scale: "", output_format: "", priority: "normal" };

export class Advanced {
  #texts;
  #models = [];
  #own = new Map(); // what the author had in a control before the style locked it

  constructor(form, texts) {
    this.form = form;
    this.details = part(form, "advanced");
    this.changed = part(form, "changed");
    this.reset = part(form, "usual");
    this.seed = new Seed(form, texts, () => this.#count());
    this.#texts = texts;
    this.details.addEventListener("input", () => this.#count());
    this.reset.addEventListener("click", () => {
      this.apply({});
      this.form.elements.model.dispatchEvent(new Event("change", { bubbles: true }));
      this.details.querySelector("summary").focus();
    });
  }

  setModels(models) {
    this.#models = models;
  }

  set mayHurry(isAllowed) {
    this.#field("priority").hidden = !isAllowed;
  }

  /** The author's own values, without those that the style locks. */
  get settings() {
    const { elements } = this.form;
    const settings = {};
    for (const name of Object.keys(USUAL)) if (!elements[name].disabled) settings[name] = elements[name].value.trim();
    for (const name of LIMITED) if (name in settings) settings[name] = number(settings[name]);
    if (this.#field("priority").hidden) settings.priority = USUAL.priority;
    if (!elements.seed.disabled) settings.seed = number(this.seed.kept);
    return settings;
  }

  /** What is wrong before the server is asked: [{field, detail}]. */
  mistakes() {
    const errors = [];
    for (const name of LIMITED) {
      const { disabled, validity, min: low, max: high } = this.form.elements[name];
      if (!disabled && !validity.valid) errors.push({ field: name, detail: this.#texts.get("range_wrong", { low, high }) });
    }
    if (!this.seed.isValid) errors.push({ field: "seed", detail: this.#texts.get("seed_invalid") });
    return errors;
  }

  /** Set all of them; what `settings` does not name is as usual. What is locked stays locked. */
  apply(settings) {
    for (const [name, usual] of Object.entries(USUAL)) {
      const value = String(settings[name] ?? usual);
      const control = this.form.elements[name];
      if (control.disabled) this.#own.set(name, value);
      else if (control.localName !== "select" || has(control, value)) control.value = value;
    }
    this.seed.keep(settings.seed ?? "");
    this.#count();
  }

  /** Follow what model and style say: see plan.js. */
  show(plan) {
    this.#unlock();
    this.#fillModels(plan);
    this.#fillFormats(plan);
    for (const name of LIMITED) this.#limit(name, plan);
    for (const name of LOCKABLE) if (plan.isLocked(name)) this.#lock(name, plan);
    this.#count();
  }

  #fillModels({ usual, model }) {
    const select = this.form.elements.model;
    const { value } = select;
    const options = this.#models.map(({ slug, label, available }) =>
      make("option", { value: slug }, available ? label : this.#texts.get("model_unavailable", { model: label })),
    );
    const automatic = make("option", { value: "" }, this.#texts.get("automatic", { value: usual?.label ?? "" }));
    // One model is no choice, but authors may want to know which it is.
    select.replaceChildren(automatic, ...(options.length > 1 ? options : []));
    if (has(select, value)) select.value = value;
    setText(this.form.querySelector("#model-hint"), model?.description ?? "");
    this.#field("model").hidden = !options.length;
  }

  #fillFormats({ model, value }) {
    const select = this.form.elements.output_format;
    const chosen = select.value;
    const formats = model?.output_formats ?? [];
    const automatic = this.#texts.get("automatic", { value: formatName(value("output_format") ?? "") });
    select.replaceChildren(
      make("option", { value: "" }, automatic),
      ...formats.map((format) => make("option", { value: format }, formatName(format))),
    );
    if (has(select, chosen)) select.value = chosen;
    this.#field("output_format").hidden = formats.length < 2;
  }

  #limit(name, { limits, value }) {
    const [low, high] = limits(name);
    const usual = value(name);
    Object.assign(this.form.elements[name], { min: low ?? "", max: high ?? "", placeholder: usual ?? "" });
    const text = usual === undefined ? "" : this.#texts.get("range", { low, high, usual });
    setText(this.form.querySelector(`#${name}-hint`), text);
  }

  #lock(name, { value }) {
    const control = this.form.elements[name];
    this.#own.set(name, control.value);
    const fixed = value(name);
    if (control.localName === "select") control.value = has(control, fixed ?? "") ? (fixed ?? "") : "";
    else control.value = fixed ?? "";
    control.disabled = true;
    const field = this.#field(name);
    field.append(make("p", { className: "lock", id: `${name}-lock` }, this.#texts.get("locked")));
    control.setAttribute("aria-describedby", `${control.getAttribute("aria-describedby")} ${name}-lock`);
    if (name === "seed") this.seed.isLocked = true;
  }

  #unlock() {
    for (const name of LOCKABLE) {
      const control = this.form.elements[name];
      if (!control.disabled) continue;
      control.disabled = false;
      const value = this.#own.get(name);
      if (control.localName !== "select" || has(control, value)) control.value = value;
      const lock = this.#field(name).querySelector(".lock");
      control.setAttribute("aria-describedby", control.getAttribute("aria-describedby").replace(` ${lock.id}`, ""));
      lock.remove();
    }
    this.#own.clear();
    this.seed.isLocked = false;
  }

  /** Settings that are remembered must be seen while the section is closed. */
  #count() {
    const { seed, ...settings } = this.settings;
    const differs = Object.entries(settings).filter(([name, value]) => (value ?? "") !== USUAL[name]);
    const n = differs.length + (seed === null || seed === undefined ? 0 : 1);
    setText(this.changed, n ? this.#texts.get(n === 1 ? "changed_one" : "changed_several", { n }) : "");
    this.reset.hidden = n === 0;
  }

  #field(name) {
    return this.details.querySelector(`[data-field="${name}"]`);
  }
}

const has = (select, value) => [...select.options].some((option) => option.value === String(value));
const number = (text) => (text === "" ? null : Number(text));
const formatName = (format) => ({ webp: "WebP" })[format] ?? format.toUpperCase();
