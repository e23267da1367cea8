/** The title and the summary of what a form edits, as a start for describing a picture. */

/**
 * @param {Element} control - A field of the form.
 * @param {{title: string[], summary: string[]}} names - The fields to look in, the likeliest first.
 * @returns {{title: string, summary: string}|null} Plain text; null when neither says anything.
 */
export function pageArticle(control, names) {
  const fields = control.closest("form")?.elements;
  if (!fields) return null;
  const [title, summary] = [names.title, names.summary].map((candidates = []) => {
    for (const name of candidates) {
      const value = fields.namedItem(name)?.value;
      if (typeof value === "string" && value.trim()) return plain(value);
    }
    return "";
  });
  return title || summary ? { title, summary } : null;
}

/** A summary may be rich text. Such a document is parsed only: nothing in it is loaded or run. */
function plain(value) {
  const text = /<\w/.test(value) ? new DOMParser().parseFromString(value, "text/html").body.textContent : value;
  return text.replace(/\s+/g, " ").trim();
}
