/** The parts of the dialog, and what each of them tells the controller. */
import { ImagesAPI } from "./api.js";
import { Compose } from "./compose.js";
import { Desk } from "./desk.js";
import { part, setText } from "./dom.js";
import { FocusKeeper } from "./focus.js";
import { Foot } from "./foot.js";
import { Gallery } from "./gallery.js";
import { HealthWatch } from "./health.js";
import { History } from "./history.js";
import { Messages } from "./messages.js";
import { PictureActions } from "./picture_actions.js";
import { Review } from "./review.js";
import { Round } from "./round.js";
import { Status } from "./status.js";
import { Texts } from "./texts.js";
import { Views } from "./views.js";

/**
 * @param {ShadowRoot} root
 * @param {object} capabilities - Of the place that the pictures go to: see element.js.
 * @param {object} on - What to call: `task`, `choose`, `use`, `refine`, `vary`, `recall`, `discard`, `openTask`, `retry`,
 *   `leaveHistory`, `openTasks` for those that matter here, and `model` for the slug of the model that draws or would draw.
 */
export function buildParts(root, capabilities, on) {
  const { lang, dataset } = root.querySelector("dialog");
  const api = new ImagesAPI(dataset.apiUrl, { csrfCookie: dataset.csrfCookie, csrfToken: dataset.csrfToken });
  const texts = new Texts(root, lang);
  const messages = new Messages(root, texts);
  const onProblem = (problem) => messages.showAlert(problem);
  const status = new Status(root, texts);
  const compose = new Compose(root, texts, { api, onProblem });
  const gallery = new Gallery(root, texts, { onChoose: on.choose, onOpen: (image) => actions.open(image) });
  const actions = new PictureActions(root, texts, {
    onLook: (image) => gallery.choose(image),
    onUse: (image) => {
      gallery.choose(image);
      on.use();
    },
    onRefine: on.refine,
    onVariations: on.vary,
    onRecall: on.recall,
    onDiscard: on.discard,
  });
  const review = new Review(root, texts, { api, capabilities });
  const history = new History(root, texts, {
    api,
    mayseeAll: "seesAll" in dataset,
    onOpen: on.openTask,
    onRetry: on.retry,
    onBack: on.leaveHistory,
  });
  const desk = new Desk(root, texts, { onOpen: on.openTask, onAsk: on.openTasks });
  const round = new Round(api, {
    onTask: on.task,
    onProgress: () => status.show(round),
    onPreviews: (pictures) => gallery.preview(pictures),
    onHealth: (state) => health.tell(state),
    onProblem,
  });
  const health = new HealthWatch(api, {
    model: on.model,
    isWaiting: () => round.isDrawing,
    isTold: () => round.isStreaming,
    onHealth: (state) => messages.showHealth(state),
  });
  const foot = new Foot(root);
  const focus = new FocusKeeper(root, ["cancel", "insert", "use", "generate"]);
  const views = new Views(root, history);
  const key = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";
  setText(part(root, "shortcut"), texts.get("shortcut", { key }));
  return { api, texts, messages, status, compose, gallery, actions, review, desk, round, health, foot, focus, views };
}
