/**
 * What editor integrations use: `openAIImageDialog()`. The dialog's code and markup are fetched at the first click only,
 * and each place (an article's field) keeps a dialog of its own as long as the page lives.
 */
const places = new Map();

/**
 * Let the author make a picture.
 *
 * @param {object} options
 * @param {string} options.dialogUrl - Where the dialog's markup is, and beneath it its code.
 * @param {{label: string, object_id: string, field: string}|null} [options.origin] - What the picture is for.
 * @param {string} [options.unreachableText] - Shown when these cannot be fetched. `Place` in place.js tells the others.
 * @returns {Promise<object|null>} The accepted image as the API describes it, with `alt`, `caption`, `credit`,
 *   `as_figure` and `alignment`; null when the author closed the dialog.
 */
export async function openAIImageDialog(options) {
  const { dialogUrl, origin = null, unreachableText = "" } = options;
  const key = JSON.stringify([dialogUrl, origin]);
  if (places.has(key)) return places.get(key).open(options);
  let place;
  try {
    const url = new URL(dialogUrl, location.href);
    const [fragment, { Place }] = await Promise.all([fetchFragment(url), import(new URL("code.js", url))]);
    if (places.has(key)) return null; // a second click while the first one was loading
    place = new Place(fragment, options);
    if (fragment.ok) places.set(key, place);
  } catch (error) {
    console.error("The AI image dialog could not be loaded.", error);
    window.alert(unreachableText);
    return null;
  }
  return place.open(options);
}

/** {ok, html}: the dialog, or (401, 403) a small one that says why not. */
async function fetchFragment(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  if (![200, 401, 403].includes(response.status)) throw new Error(`The server answers with ${response.status}.`);
  return { ok: response.ok, html: await response.text() };
}
