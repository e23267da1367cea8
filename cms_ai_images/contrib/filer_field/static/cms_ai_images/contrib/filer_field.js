/**
 * The adapter between filer's image widget and the AI image dialog. One listener serves every field of the page, also
 * those of rows that are added to a formset later.
 */
import { badges } from "../badge.js";
import { openAIImageDialog } from "../dialog.js";
import { pageOrigin } from "../page_origin.js";

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".ai-image-button");
  if (button) fill(button);
});

const inputOf = (button) => button.closest(".ai-image-field").querySelector(".vForeignKeyRawIdAdminField");

function originOf(button) {
  const input = inputOf(button);
  return pageOrigin(input, input.name);
}

async function fill(button) {
  badges.pause();
  try {
    const image = await openAIImageDialog({
      dialogUrl: button.dataset.dialogUrl,
      unreachableText: button.dataset.unreachableText,
      origin: originOf(button),
      control: button,
      articleFields: JSON.parse(button.dataset.articleFields),
      allowDecorative: false, // the alternative text belongs to the library file here, which other pages may use too
    });
    if (image) choose(button.closest(".ai-image-field"), image.library);
  } finally {
    badges.resume();
  }
  button.focus();
}

/** Choose a library file as if it had been picked in filer's own window. */
function choose(field, library) {
  const lookup = field.querySelector(".js-related-lookup");
  const picker = { name: `${lookup.id}__0`, close() {} }; // filer reads the field from the window's name
  window.dismissRelatedImageLookupPopup(
    picker,
    String(library.filer_id),
    library.thumbnail_url,
    library.name,
    library.admin_url,
  );
  const link = field.querySelector(".thumbnail_img")?.closest("a");
  if (link) link.href = library.url;
}

for (const button of document.querySelectorAll(".ai-image-button")) {
  const { readyUrl: url, readyText: text, readyHint: hint } = button.dataset;
  badges.add(button, { url, text, hint, origin: originOf(button), label: button.textContent.trim() });
}
