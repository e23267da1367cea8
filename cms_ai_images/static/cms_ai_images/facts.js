/** What a picture was made with, in words: its seed and settings, as somebody would note them to make it again. */

/**
 * @param {object} image - As the API describes it.
 * @param {object|null} task - The task that drew it.
 * @param {import("./texts.js").Texts} texts
 * @returns {string} Such as "Seed 7 · 768 × 512 · 20 steps · Guidance 4 · Photo".
 */
export function factsOf(image, task, texts) {
  const facts = [texts.get("fact_seed", image), texts.get("fact_size", image)];
  if (task?.steps) facts.push(texts.get("fact_steps", { n: task.steps }));
  // Not every model is guided: null, and 0 for those that were distilled.
  if (task?.guidance_scale) facts.push(texts.get("fact_guidance", { value: task.guidance_scale }));
  facts.push(task?.preset?.name, task?.model?.label);
  if (task?.negative_prompt) facts.push(texts.get("fact_negative", { text: task.negative_prompt }));
  return facts.filter(Boolean).join(" · ");
}
