/** One task in the history: its pictures, small, its words, what became of it, and what can be done. */
import { make, setText } from "./dom.js";

const THUMBS = 4;

/**
 * @param {object} task - As the API describes it.
 * @param {HTMLTemplateElement} template
 * @param {import("./texts.js").Texts} texts
 * @param {{onOpen: Function, onRetry: Function}} handlers
 * @returns {HTMLLIElement}
 */
export function itemFor(task, template, texts, { onOpen, onRetry }) {
  const item = template.content.firstElementChild.cloneNode(true);
  const find = (name) => item.querySelector(`.history-${name}`);
  showThumbs(find("thumbs"), task);
  const open = find("open");
  if (canOpen(task)) {
    open.textContent = task.prompt;
    open.addEventListener("click", () => onOpen(task));
  } else open.replaceWith(task.prompt);
  find("facts").append(...facts(task, texts, template.closest("[lang]")?.lang));
  const reason = find("reason");
  setText(reason, task.error?.detail ?? "");
  reason.hidden = !task.error;
  const retry = find("retry");
  retry.hidden = !canRetry(task);
  retry.addEventListener("click", () => onRetry(task));
  return item;
}

/** Somebody else's drafts are theirs; what failed has nothing to show. */
const canOpen = ({ user, status, images }) =>
  !user && (status === "queued" || status === "running" || images.some((image) => image.file_url));

const canRetry = ({ user, status, error }) =>
  !user && (status === "cancelled" || (status === "failed" && error?.retryable !== false));

function showThumbs(room, { images }) {
  const shown = images.filter((image) => image.preview_url).slice(0, THUMBS);
  if (shown.length === 0) return; // the sign for a picture stays
  room.replaceChildren(
    ...shown.map((image) => {
      const picture = make("img", { src: image.preview_url, alt: "", loading: "lazy" });
      picture.addEventListener("error", () => picture.remove());
      return picture;
    }),
  );
}

/** State, whose, how many pictures, style, model, when: separated by dots. */
function facts(task, texts, language) {
  const { status, user, images, preset, model, created_at: created } = task;
  const n = images.filter((image) => image.file_url).length;
  const time = make("time", { dateTime: created }, moment(created, language));
  return [
    texts.get(`state_${status}`),
    user?.name,
    n && (n === 1 ? texts.get("history_pictures_single") : texts.get("history_pictures", { n })),
    images.some((image) => image.library) && texts.get("history_in_library"),
    preset?.name,
    model.label,
    time,
  ]
    .filter(Boolean)
    .flatMap((fact, index) => (index ? [" · ", fact] : [fact]));
}

const moment = (text, language) =>
  new Intl.DateTimeFormat(language || undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
