/** What model and style make of a request: the values that hold where the author says nothing, and those that are locked. */

/**
 * @param {{presets: object[], models: object[]}} choices - As the API lists them.
 * @param {{preset: string, model: string, quality: string}} chosen - Slugs; empty for none.
 * @returns {{model: object|undefined, usual: object|undefined, preset: object|undefined, size: number[],
 *   qualities: object[], quality: object|undefined, isLocked: (name: string) => boolean, value: (name: string) => *,
 *   limits: (name: string) => number[]}} `model` draws; `usual` would where none is chosen; `size` is [width, height] in
 *   pixels where none is chosen; `qualities` are those that set nothing that the style locks; `value` is a parameter's
 *   where the author gives none, `limits` are its [lowest, highest].
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
  const qualities = (model?.qualities ?? []).filter(({ parameters }) => !Object.keys(parameters).some(isLocked));
  const quality = qualities.find(({ name }) => name === chosen.quality) ?? qualities[0];
  const given = (name) => (name === "model" ? model?.slug : (quality?.parameters[name] ?? parameters[name]));
  const value = (name) => given(name) ?? model?.default_parameters[name];
  const limits = (name) => quality?.parameter_limits[name] ?? model?.parameter_limits[name] ?? [];
  return { preset, usual, model, size, qualities, quality, isLocked, value, limits };
}
