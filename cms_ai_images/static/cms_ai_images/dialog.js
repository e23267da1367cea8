/**
 * What editor integrations use: `openAIImageDialog()`. The dialog's code and markup are fetched at the first click only,
 * and each place (an article's field) keeps a dialog of its own as long as the page lives.
 */
const dialogs = new Map();

/**
 * Let the author make a picture.
 *
 * @param {object} options
 * @param {string} options.dialogUrl - Where the dialog's markup is; it knows the rest.
 * @param {{label: string, object_id: string, field: string}|null} [options.origin] - What the picture is for.
 * @param {string} [options.prompt] - A first description, used where nothing has been typed.
 * @param {string} [options.selection] - Text that the author has selected, offered as a start.
 * @param {{title: string, summary: string}|null} [options.article] - What the picture is for, offered as a start.
 * @param {{figure: boolean, align: boolean}} [options.capabilities] - Whether the place takes a figure with a caption,
 *   and an alignment.
 * @param {boolean} [options.allowDecorative] - Whether the picture may go without alternative text.
 * @param {string} [options.unreachableText] - Shown when not even the dialog's markup can be fetched.
 * @returns {Promise<object|null>} The accepted image as the API describes it, with `alt`, `caption`, `credit`,
 *   `as_figure` and `alignment`; null when the author closed the dialog.
 */
export async function openAIImageDialog(options) {
  const { dialogUrl, origin = null, unreachableText = "", allowDecorative = true } = options;
  const key = JSON.stringify([dialogUrl, origin]);
  let element = dialogs.get(key);
  if (!element) {
    const [fragment, code] = await Promise.all([fetchFragment(dialogUrl), loadCode()]);
    if (!fragment || !code) {
      window.alert(unreachableText);
      return null;
    }
    if (dialogs.has(key)) return null; // a second click while the first one was loading
    element = new code.AIImageDialogElement();
    if (fragment.ok) {
      dialogs.set(key, element);
    } else element.addEventListener("ai-image:close", () => element.remove(), { once: true });
    await element.mount(fragment.html, {
      origin,
      capabilities: { figure: false, align: false, ...options.capabilities, decorative: allowDecorative },
    });
  }
  return new Promise((resolve) => {
    let accepted = null;
    const onInsert = (event) => {
      accepted = event.detail;
    };
    element.addEventListener("ai-image:insert", onInsert);
    element.addEventListener(
      "ai-image:close",
      () => {
        element.removeEventListener("ai-image:insert", onInsert);
        resolve(accepted);
      },
      { once: true },
    );
    element.open(options);
  });
}

/** {ok, html}: the dialog, or (401, 403) a small one that says why not; null when the server does not answer as it should. */
async function fetchFragment(url) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (response.ok || response.status === 401 || response.status === 403) {
      return { ok: response.ok, html: await response.text() };
    }
  } catch (error) {
    console.error("The AI image dialog could not be loaded.", error);
  }
  return null;
}

/** The dialog itself; null when it cannot be fetched, which is said like a page that cannot be. */
async function loadCode() {
  try {
    return await import("./element.js");
  } catch (error) {
    console.error("The AI image dialog could not be loaded.", error);
    return null;
  }
}
