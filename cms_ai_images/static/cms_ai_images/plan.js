/** What model and style make of a request: the values that hold where the author says nothing, and those that are locked. */

/**
 * @param {{presets: object[], models: object[]}} choices - As the API lists them.
 * @param {{preset: string, model: string}} chosen - Slugs; empty for none.
 * @returns {{model: object|undefined, usual: object|undefined, preset: object|undefined, size: number[],
 *   isLocked: (name: string) => boolean, value: (name: string) => *}} `model` draws; `usual` would where none is chosen;
 *   `size` is [width, height] in pixels where none is chosen; `value` is a parameter's where the author gives none.
 */
export function planOf({ presets, models }, chosen) {
  const preset = presets.find(({ slug }) => slug === chosen.preset);
  const isLocked = (name) => Boolean(preset?.locked.includes(name));
  const called = (slug) => models.find((model) => slug && model.slug === slug);
  const usual = called(preset?.model) ?? models.find((model) => model.is_default) ?? models[0];
  const model = (isLocked("model") ? undefined : called(chosen.model)) ?? usual;
  const parameters = preset?.parameters ?? {};
  const { width, height } = parameters;
  const size = width && height ? [width, height] : (model?.sizes[0] ?? [1, 1]);
  const value = (name) => (name === "model" ? model?.slug : parameters[name]) ?? model?.default_parameters[name];
  return { preset, usual, model, size, isLocked, value };
}
