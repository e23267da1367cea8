/**
 * The translated texts that scripts need. They come as `<template data-text="name">` in the server-rendered fragment,
 * so that one catalogue, the server's, holds every word.
 */
export class Texts {
  #texts = new Map();
  #ordinals;

  constructor(root, language) {
    for (const template of root.querySelectorAll("template[data-text]")) {
      this.#texts.set(template.dataset.text, template.content.textContent.trim());
    }
    this.#ordinals = new Intl.PluralRules(language || undefined, { type: "ordinal" });
  }

  /** The text called `name`, its `{placeholders}` filled. */
  get(name, values = {}) {
    const text = this.#texts.get(name);
    if (text === undefined) throw new Error(`The dialog has no text called ${name}.`);
    return text.replace(/\{(\w+)\}/g, (placeholder, key) => (key in values ? String(values[key]) : placeholder));
  }

  /** As `get`, in the form that the language uses for an n-th: `name_one`, `name_two`, `name_few` or `name_other`. */
  nth(name, n) {
    const form = `${name}_${this.#ordinals.select(n)}`;
    return this.get(this.#texts.has(form) ? form : `${name}_other`, { n });
  }
}
