/**
 * Says which object a form field belongs to, so that its pictures are found again when the dialog is opened there.
 *
 * A form outside the admin can say it itself: `data-ai-images-origin="app.model:key"` on the field or around it.
 * In the admin's change form the body's classes and the address say it. An inline's field counts as its parent's.
 */

/**
 * @param {Element} control - The field's element, or one near it.
 * @param {string} field - The form field's name.
 * @returns {{label: string, object_id: string, field: string}|null} `object_id` is empty before the first save.
 */
export function pageOrigin(control, field) {
  const declared = control.closest("[data-ai-images-origin]")?.dataset.aiImagesOrigin;
  if (declared) {
    const colon = declared.indexOf(":");
    const label = colon < 0 ? declared : declared.slice(0, colon);
    return { label, object_id: colon < 0 ? "" : declared.slice(colon + 1), field };
  }
  const { classList } = document.body;
  const app = classBehind(classList, "app-");
  const model = classBehind(classList, "model-");
  if (!classList.contains("change-form") || !app || !model) return null;
  const key = /\/([^/]+)\/change\/$/.exec(location.pathname);
  return { label: `${app}.${model}`, object_id: key ? unquote(key[1]) : "", field };
}

const classBehind = (classList, prefix) => [...classList].find((name) => name.startsWith(prefix))?.slice(prefix.length);

/** The admin writes special characters of a key as `_` and two hexadecimal digits (`django.contrib.admin.utils.quote`). */
const unquote = (key) =>
  decodeURIComponent(key).replace(/_([0-9A-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
