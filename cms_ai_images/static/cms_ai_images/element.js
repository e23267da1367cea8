/**
 * `<ai-image-dialog>`: a native modal dialog in which an author describes a picture, watches it appear and picks one.
 *
 * This is the controller: it knows the parts, the states (machine.js) and what leads from one to the next. The left pane
 * asks (compose.js); the right one shows one of three views: the pictures, one picture under review, or the history.
 *
 * Events: `ai-image:insert` (detail: the accepted image with what is to be inserted) and `ai-image:close`.
 * Closing it loses nothing: the element keeps what was typed, the server keeps what was asked for.
 */
import { ImagesAPI, Problem } from "./api.js";
import { Compose } from "./compose.js";
import { action, isShown, part, setText } from "./dom.js";
import { Foot } from "./foot.js";
import { Gallery } from "./gallery.js";
import { HealthWatch } from "./health.js";
import { History } from "./history.js";
import { isFinal } from "./live.js";
import { Machine } from "./machine.js";
import { Messages } from "./messages.js";
import { PictureActions } from "./picture_actions.js";
import { Review } from "./review.js";
import { Round } from "./round.js";
import { Status } from "./status.js";
import { Texts } from "./texts.js";

const DOUBLE_CLICK = 500; // "Cancel" may appear under the second click on "Generate"

export class AIImageDialogElement extends HTMLElement {
  #origin;
  #busy = false;
  #ready = Promise.resolve();
  #cancelFrom = 0;
  #focused = null; // what had the focus last
  #earlier = null; // {task, image}: the pictures that were there before the task that is being drawn
  #failed = null; // the task that could be tried again
  #over = new Set(); // ids of tasks that the author is done with

  /**
   * Build the dialog from the server's fragment. Resolves when its style sheets are there.
   * @param {string} html
   * @param {{origin: object|null, capabilities: {figure: boolean, align: boolean, decorative: boolean}}} options
   */
  async mount(html, { origin, capabilities }) {
    const root = this.attachShadow({ mode: "open" });
    const template = document.createElement("template");
    template.innerHTML = html;
    root.append(template.content);
    document.body.append(this);
    this.dialog = root.querySelector("dialog");
    this.dialog.addEventListener("close", () => this.#onClose());
    root.addEventListener("click", (event) => this.#onClick(event));
    root.addEventListener("focusin", (event) => (this.#focused = event.target));
    await Promise.all([...root.querySelectorAll("link")].map(styled));
    if (!root.querySelector("#compose")) return; // the fragment only says why this person may not use it

    const { lang, dataset } = this.dialog;
    this.#origin = origin;
    this.api = new ImagesAPI(dataset.apiUrl, { csrfCookie: dataset.csrfCookie, csrfToken: dataset.csrfToken });
    this.texts = new Texts(root, lang);
    this.machine = new Machine((state) => (this.dialog.dataset.state = state));
    this.dialog.dataset.state = this.machine.state;
    this.messages = new Messages(root, this.texts);
    this.status = new Status(root, this.texts);
    this.foot = new Foot(root);
    this.compose = new Compose(root, this.texts, {
      api: this.api,
      onProblem: (problem) => this.messages.showAlert(problem),
    });
    this.round = new Round(this.api, {
      onTask: (task, isNews) => this.#onTask(task, isNews),
      onProgress: () => this.status.show(this.round),
      onPreviews: (pictures) => this.gallery.preview(pictures),
      onHealth: (health) => this.health.tell(health),
      onProblem: (problem) => this.messages.showAlert(problem),
    });
    this.#mountPictures(root, capabilities);
    this.health = new HealthWatch(this.api, {
      model: () => this.#modelSlug,
      isWaiting: () => this.round.isDrawing,
      isTold: () => this.round.isStreaming,
      onHealth: (health) => this.messages.showHealth(health),
    });
    const key = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";
    setText(part(root, "shortcut"), this.texts.get("shortcut", { key }));
    this.compose.form.addEventListener("submit", (event) => this.#onSubmit(event, () => this.#generate()));
    this.review.form.addEventListener("submit", (event) => this.#onSubmit(event, () => this.#insert()));
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("cancel", (event) => this.#onEscape(event));
    window.addEventListener("focus", () => this.#onReturn());
  }

  #mountPictures(root, capabilities) {
    const { api, texts } = this;
    this.gallery = new Gallery(root, texts, {
      onChoose: (image) => this.#onChoose(image),
      onOpen: (image) => this.actions.open(image),
    });
    this.actions = new PictureActions(root, texts, {
      onLook: (image) => this.gallery.choose(image),
      onUse: (image) => {
        this.gallery.choose(image);
        this.#use();
      },
      onRefine: (image) => this.#refine(image),
      onVariations: (image) => this.#attempt(() => this.#vary(image)),
      onRecall: (image) => this.#recall(image),
      onDiscard: (image) => this.#attempt(() => this.#discard(image)),
    });
    this.review = new Review(root, texts, { api, capabilities });
    this.history = new History(root, texts, {
      api,
      mayseeAll: "seesAll" in this.dialog.dataset,
      onOpen: (task) => this.#openTask(task),
      onRetry: (task) => this.#attempt(async () => this.#openTask(await api.retry(task.id))),
      onBack: () => this.#showView(this.#viewOfState),
    });
  }

  /** Show it. `prompt` is used where the author has not written anything yet; `selection` and `article` are offered. */
  open({ prompt = "", selection = "", article = null } = {}) {
    if (this.dialog.open) return;
    this.dialog.showModal();
    if (!this.compose) return;
    this.compose.offer({ selection, article });
    this.compose.prompt.focus();
    if (prompt && !this.compose.prompt.value) this.compose.setPrompt(prompt);
    if (this.machine.state === "inserted") this.machine.to("idle");
    this.#showView(this.#viewOfState);
    this.#ready = this.#refresh();
  }

  get #root() {
    return this.shadowRoot;
  }

  /** The model that draws or would draw. */
  get #modelSlug() {
    return this.round.isDrawing ? this.round.task.model?.slug : this.compose.model?.slug;
  }

  // -- what the author does --------------------------------------------------------------------------------------------

  #onClick(event) {
    const name = event.target.closest("[data-action]")?.dataset.action;
    const acts = {
      close: () => this.dialog.close(),
      cancel: () => Date.now() > this.#cancelFrom && this.#attempt(() => this.#cancel()),
      retry: () => this.#attempt(async () => this.#follow(await this.api.retry(this.#failed.id))),
      use: () => this.#use(),
      back: () => this.#back(),
      library: () => this.#attempt(() => this.#addToLibrary()),
      history: () => this.#showView(this.view === "history" ? this.#viewOfState : "history"),
    };
    if (Object.hasOwn(acts, name)) acts[name]();
  }

  #onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#onSubmit(event, () => this.#generate());
  }

  /** Escape closes the topmost thing only. */
  #onEscape(event) {
    if (event.target !== this.dialog || this.view === "results") return;
    event.preventDefault();
    if (this.view === "history") this.#showView(this.#viewOfState);
    else this.#back();
  }

  /** Back from another tab, perhaps from logging in there. */
  #onReturn() {
    if (this.dialog.open && this.messages.needsLogin) this.#ready = this.#refresh();
  }

  #onSubmit(event, act) {
    event.preventDefault();
    this.#attempt(act);
  }

  async #generate() {
    await this.#ready; // before that, number and size are not the ones that will be shown as chosen
    if (this.round.isDrawing) return;
    this.compose.clearErrors();
    const mistakes = this.compose.mistakes();
    if (mistakes.length) {
      this.compose.showErrors(mistakes);
      return;
    }
    this.status.say({ kind: "sending", text: this.texts.get("sending") });
    const request = this.compose.request();
    if (this.#origin) request.origin = this.#origin;
    const settings = this.compose.settings();
    const task = await this.api.createTask(request);
    this.compose.remember(settings, task);
    this.#follow(task);
    this.#updateCredits();
    this.#cancelFrom = Date.now() + DOUBLE_CLICK;
    this.#showView("results");
    part(this.#root, "results").scrollIntoView(); // on a phone they are below the form
  }

  async #cancel() {
    this.#follow(await this.api.cancel(this.round.task.id));
  }

  #use() {
    const image = this.gallery.chosen;
    if (!image) return;
    this.machine.to("reviewing");
    this.review.open(image, this.round.task);
    this.#showView("review");
  }

  #back() {
    this.machine.to("choosing");
    this.#showView("results");
    this.gallery.focus();
  }

  async #insert() {
    if (this.machine.state !== "reviewing" || !this.review.isComplete()) return;
    const detail = await this.#accept();
    this.machine.to("inserted");
    this.#over.add(this.round.task.id);
    this.#clear();
    this.dispatchEvent(new CustomEvent("ai-image:insert", { detail, bubbles: true }));
    this.dialog.close();
  }

  async #addToLibrary() {
    if (!this.review.isComplete()) return;
    this.gallery.replace(await this.#accept());
    this.#back();
    this.status.say({ kind: "library", text: this.texts.get("in_library") });
  }

  /** The accepted image as the API describes it, with what an editor needs to insert it. */
  async #accept() {
    const details = this.review.details();
    const accepted = await this.api.accept(this.gallery.chosen.id, details);
    const { alt_text: alt = "", caption = "", credit = "" } = details;
    return { ...accepted, alt, caption, credit, ...this.review.placement() };
  }

  async #discard(image) {
    await this.api.discard(image.id);
    this.gallery.remove(image);
    this.status.say({ kind: "discarded", text: this.texts.get("discarded") });
    if (this.gallery.chosen) this.gallery.focus();
    else {
      this.#clear();
      this.compose.prompt.focus();
    }
  }

  #refine(image) {
    this.compose.refine(this.round.task, image);
  }

  #recall(image) {
    this.compose.restore(this.round.task, { seed: image.seed });
    this.status.say({ kind: `recalled ${image.id}`, text: this.texts.get("recalled") });
  }

  async #vary() {
    this.compose.restore(this.round.task);
    await this.#generate();
  }

  #onChoose(image) {
    this.actions?.show(image, this.round.task, this.gallery.images);
    this.#render();
  }

  /** Show a task of the history as if it had just been asked for. */
  #openTask(task) {
    this.#earlier = null;
    this.#follow(task);
    this.#showView("results");
    if (!isFinal(task)) return;
    this.gallery.focus();
  }

  #onClose() {
    this.round?.stop(); // these are absent where the fragment only says why this person may not use it
    this.health?.stop();
    this.#failed = null; // its reason was told; the next time begins without it
    this.dispatchEvent(new CustomEvent("ai-image:close"));
  }

  // -- what the server says --------------------------------------------------------------------------------------------

  /** Ask for everything that may have changed since the dialog was last open. */
  async #refresh() {
    this.messages.showAlert(null);
    this.compose.clearErrors(); // the choices are fetched anew, so what was wrong with the old ones is over
    const { api } = this;
    const questions = {
      presets: api.presets(),
      models: api.models(),
      tasks: api.openTasks(this.#origin),
      health: api.health(this.#modelSlug),
      preferences: api.preferences(),
      credits: api.credits(),
    };
    const settled = await Promise.allSettled(Object.values(questions));
    const refused = settled.find(({ status }) => status === "rejected");
    if (refused) this.messages.showAlert(refused.reason);
    const answers = Object.keys(questions).map((name, index) => [name, settled[index].value]);
    const { tasks, health, ...choices } = Object.fromEntries(answers);
    if (health) this.health.tell(health);
    if (choices.presets && choices.models) this.compose.fill({ ...choices, limits: health });
    if (!tasks) return;
    const { task } = this.round;
    const here = tasks.find((candidate) => this.#matters(candidate));
    if (here && (!task || task.id === here.id)) {
      if (!task && !this.compose.prompt.value) this.compose.restore(here); // else something else is being written
      this.#follow(here);
    } else if (this.round.isDrawing) this.#follow(await api.task(task.id));
  }

  /** Whether the author still waits for `task` here: it is for this field, and none of its pictures was taken. */
  #matters({ id, origin, images }) {
    const isHere = !this.#origin?.field || origin?.field === this.#origin.field;
    return isHere && !this.#over.has(id) && !images.some(({ state }) => state === "accepted");
  }

  /** Show `task` and everything that becomes of it. */
  #follow(task) {
    const { state } = this.machine;
    const hadPictures = (state === "choosing" || state === "reviewing") && this.round.task.id !== task.id;
    if (hadPictures) this.#earlier = { task: this.round.task, image: this.gallery.chosen };
    this.#failed = null;
    if (!isFinal(task)) this.#over.delete(task.id); // it is tried again
    this.round.show(task, this.dialog.open);
    if (this.round.isDrawing) this.health.watch();
  }

  #onTask(task, isNews) {
    if (!isFinal(task)) {
      this.machine.to(task.status === "queued" ? "queued" : "generating");
      this.gallery.expect(task.num_images, task.width, task.height);
    } else if (isNews) {
      this.#onEnd(task);
      this.health.check(); // what was amiss may be over, or be the reason
      if (task.cost && task.status !== "succeeded") this.#updateCredits(); // they come back
    }
    this.#render();
  }

  async #updateCredits() {
    if (!this.compose.cost.isCounted) return;
    try {
      this.compose.credits = await this.api.credits();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem; // else the old balance stands until the next time
    }
  }

  #onEnd(task) {
    const wasInFooter = Boolean(this.#root.activeElement?.closest(".foot"));
    if (task.status === "succeeded") {
      this.#earlier = null;
      this.#showPictures(task);
      const count = this.gallery.images.length;
      const name = count === 1 ? "ready_single" : "ready_several";
      this.status.say({ kind: `ready ${task.id}`, text: this.texts.get(name, { n: count }) });
      if (wasInFooter) this.gallery.focus();
      if (this.#root.activeElement !== this.compose.prompt) part(this.#root, "results").scrollIntoView();
      return;
    }
    this.#over.add(task.id);
    this.#returnToEarlier();
    this.status.say({ kind: `end ${task.id}`, text: this.texts.get(task.status) });
    if (task.status === "failed") {
      this.#failed = task;
      if (task.error) this.messages.showAlert(new Problem(task.error));
    }
    if (wasInFooter) action(this.#root, "generate").focus();
  }

  #showPictures(task, chosen) {
    this.gallery.show(task.images);
    if (chosen) this.gallery.choose(chosen);
    this.machine.to(this.gallery.images.length ? "choosing" : "idle");
    this.actions.show(this.gallery.chosen, task, this.gallery.images);
  }

  /** An error leads back to the state before: to the pictures that were there, or to an empty pane. */
  #returnToEarlier() {
    const earlier = this.#earlier;
    this.#earlier = null;
    if (!earlier) {
      this.#clear();
      return;
    }
    this.round.clear();
    this.round.task = earlier.task;
    this.#showPictures(earlier.task, earlier.image);
    if (this.machine.before === "reviewing" && this.gallery.chosen) this.#use();
  }

  /** Back to an empty right pane; what was typed stays. */
  #clear() {
    this.round.clear();
    this.gallery.clear();
    this.status.clear();
    if (this.machine.state !== "inserted") this.machine.to("idle");
    this.#showView("results");
  }

  /** Do one thing at a time, so that a double click asks once, and show what went wrong where it belongs. */
  async #attempt(act) {
    if (this.#busy) return;
    this.#busy = true;
    this.messages.showAlert(null);
    this.#render();
    try {
      await act();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.#showProblem(problem);
    } finally {
      this.#busy = false;
      this.#render();
    }
  }

  #showProblem(problem) {
    this.status.clear();
    const inReview = this.machine.state === "reviewing" ? this.review.showErrors(problem.errors) : problem.errors;
    const elsewhere = this.compose.showErrors(inReview);
    if (problem.errors.length === 0 || elsewhere.length) this.messages.showAlert(problem, elsewhere);
    if (problem.code === "no_worker") this.health.watch(true);
    if (problem.code === "draft_gone" && this.machine.state === "reviewing") {
      this.gallery.lose(this.gallery.chosen);
      this.#back();
    }
  }

  // -- what is seen ----------------------------------------------------------------------------------------------------

  /** The view that the state calls for when nobody looks at the history. */
  get #viewOfState() {
    return this.machine.state === "reviewing" ? "review" : "results";
  }

  /** `results`, `review` or `history`: what the right pane shows. */
  get view() {
    return this.dialog.dataset.view;
  }

  #showView(name) {
    const was = this.view;
    this.dialog.dataset.view = name;
    for (const view of ["results", "review", "history"]) part(this.#root, view).hidden = view !== name;
    const button = action(this.#root, "history");
    button.setAttribute("aria-pressed", String(name === "history"));
    if (name === "history" && was !== name) this.history.show();
    if (was === "history" && name !== was) {
      this.history.hide();
      button.focus();
    }
    this.#render();
  }

  #render() {
    const { task } = this.round;
    const image = this.gallery.chosen;
    const inHistory = this.view === "history";
    this.foot.show({ state: this.machine.state, busy: this.#busy, task, image, failed: this.#failed, inHistory });
    const others = ["cancel", "insert", "use", "generate"].map((name) => action(this.#root, name));
    this.#keepFocus(others);
    this.status.show(this.round);
  }

  /** When the control that had the focus was hidden or removed, go to the first of `others` that is shown. */
  #keepFocus(others) {
    const { activeElement } = this.#root;
    if (!this.#focused || isShown(this.#focused) || (activeElement && isShown(activeElement))) return;
    others.find(isShown)?.focus();
  }
}

/** Resolves when the style sheet is loaded, or cannot be: an unstyled dialog is better than none. */
const styled = (link) =>
  new Promise((resolve) => {
    if (link.sheet) resolve();
    else for (const event of ["load", "error"]) link.addEventListener(event, resolve, { once: true });
  });

customElements.define("ai-image-dialog", AIImageDialogElement);
