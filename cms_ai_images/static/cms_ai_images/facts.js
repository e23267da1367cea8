/** What a picture was made with, in words, as somebody would note it to make it again. */

/** What is its own, also beside others of the same task. */
export const seedOf = (image, texts) => texts.get("fact_seed", image);

/**
 * What it shares with the others of its task.
 * @param {object} image - As the API describes it.
 * @param {object} task - The one that drew it.
 * @param {import("./texts.js").Texts} texts
 * @returns {string} Such as "768 × 512 · 20 steps · Guidance 4 · Photo · Small model".
 */
export function settingsOf(image, task, texts) {
  const facts = [texts.get("fact_size", image)];
  if (task.steps) facts.push(texts.get("fact_steps", { n: task.steps }));
  // Not every model is guided: null, and 0 for those that were distilled.
  if (task.guidance_scale) facts.push(texts.get("fact_guidance", { value: task.guidance_scale }));
  facts.push(task.preset?.name, task.model?.label);
  if (task.negative_prompt) facts.push(texts.get("fact_negative", { text: task.negative_prompt }));
  return facts.filter(Boolean).join(SEPARATOR);
}

/** All of it. */
export const factsOf = (image, task, texts) => [seedOf(image, texts), settingsOf(image, task, texts)].join(SEPARATOR);

const SEPARATOR = " · ";
