/**
 * `<ai-image-dialog>`: a native modal dialog in which an author describes a picture, watches it appear and picks one.
 *
 * Events: `ai-image:insert` (detail: the accepted image, with the `alt` text to use) and `ai-image:close`.
 * Closing it loses nothing: the element keeps what was typed, the server keeps what was asked for.
 */
import { ImagesAPI, Problem } from "./api.js";
import { Compose } from "./compose.js";
import { action, part, setText } from "./dom.js";
import { Gallery } from "./gallery.js";
import { HealthWatch } from "./health.js";
import { follow, isFinal } from "./live.js";
import { Messages } from "./messages.js";
import { Review } from "./review.js";
import { Announcer, statusOf } from "./status.js";
import { Texts } from "./texts.js";

const DOUBLE_CLICK = 500; // "Cancel" may appear under the second click on "Generate"

export class AIImageDialogElement extends HTMLElement {
  #origin;
  #task = null;
  #progress = null;
  #unfollow = () => {};
  #busy = false;
  #ready = Promise.resolve();
  #cancelFrom = 0;
  #alt = "";
  #focused = null; // what had the focus last
  #over = new Set(); // ids of tasks that the author is done with

  /**
   * Build the dialog from the server's fragment. Resolves when its style sheets are there.
   * @param {string} html
   * @param {{origin: object|null, allowDecorative: boolean}} options
   */
  async mount(html, { origin, allowDecorative }) {
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
    this.compose = new Compose(root, this.texts);
    this.review = new Review(root, this.texts, { allowDecorative });
    this.gallery = new Gallery(root, this.texts, (image) => this.#onChoose(image));
    this.announcer = new Announcer(part(root, "announcer"));
    this.messages = new Messages(root, this.texts);
    this.health = new HealthWatch(this.api, {
      model: () => this.#modelSlug,
      isWaiting: () => this.#isDrawing,
      onHealth: (health) => this.messages.showHealth(health),
    });
    const key = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";
    setText(part(root, "shortcut"), this.texts.get("shortcut", { key }));
    this.compose.form.addEventListener("submit", (event) => this.#onSubmit(event, () => this.#generate()));
    this.review.form.addEventListener("submit", (event) => this.#onSubmit(event, () => this.#insert()));
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#onSubmit(event, () => this.#generate());
    });
  }

  /** Show it. `prompt` is used where the author has not written anything yet. */
  open({ prompt = "" } = {}) {
    if (this.dialog.open) return;
    this.dialog.showModal();
    if (!this.compose) return;
    this.compose.prompt.focus();
    if (prompt && !this.compose.prompt.value) this.compose.setPrompt(prompt);
    this.#render();
    this.#ready = this.#refresh();
  }

  get #root() {
    return this.shadowRoot;
  }

  get #isDrawing() {
    return this.#task !== null && !isFinal(this.#task);
  }

  /** The model that draws or would draw. */
  get #modelSlug() {
    return this.#isDrawing ? this.#task.model?.slug : this.compose.model?.slug;
  }

  // -- what the author does --------------------------------------------------------------------------------------------

  #onClick(event) {
    const name = event.target.closest("[data-action]")?.dataset.action;
    if (name === "close") this.dialog.close();
    if (name === "cancel" && Date.now() > this.#cancelFrom) this.#attempt(async () => this.#follow(await this.api.cancel(this.#task.id)));
    if (name === "retry") this.#attempt(async () => this.#follow(await this.api.retry(this.#task.id)));
    if (name === "library") this.#attempt(() => this.#addToLibrary());
    if (name === "discard") this.#attempt(() => this.#discard());
  }

  #onSubmit(event, act) {
    event.preventDefault();
    this.#attempt(act);
  }

  async #generate() {
    await this.#ready; // before that, number and size are not the ones that will be shown as chosen
    if (this.#isDrawing) return;
    this.compose.clearErrors();
    const mistakes = this.compose.mistakes();
    if (mistakes.length) {
      this.compose.showErrors(mistakes);
      return;
    }
    this.#say({ kind: "sending", text: this.texts.get("sending") });
    const request = this.compose.request();
    if (this.#origin) request.origin = this.#origin;
    this.#follow(await this.api.createTask(request));
    this.#cancelFrom = Date.now() + DOUBLE_CLICK;
    this.#showResults();
  }

  async #insert() {
    const { chosen } = this.gallery;
    if (!chosen || !this.review.isComplete()) return;
    const accepted = await this.#accept(chosen);
    this.#over.add(this.#task.id);
    this.#forget();
    const detail = { ...accepted, alt: this.#alt };
    this.dispatchEvent(new CustomEvent("ai-image:insert", { detail, bubbles: true }));
    this.dialog.close();
  }

  async #addToLibrary() {
    this.gallery.replace(await this.#accept(this.gallery.chosen));
    this.#say({ kind: "library", text: this.texts.get("in_library") });
  }

  async #accept(image) {
    this.#alt = this.review.text;
    return this.api.accept(image.id, this.#alt ? { alt_text: this.#alt } : {});
  }

  async #discard() {
    const image = this.gallery.chosen;
    await this.api.discard(image.id);
    this.gallery.remove(image);
    this.#say({ kind: "discarded", text: this.texts.get("discarded") });
    if (this.gallery.chosen) this.gallery.focus();
    else this.#forget();
  }

  #onChoose(image) {
    this.review.show(image, this.#task?.prompt ?? "");
    this.#render();
  }

  #onClose() {
    this.#unfollow();
    this.health?.stop(); // absent where the fragment only says why this person may not use it
    if (this.#task?.status === "failed") this.#clear(); // its reason was told; the next time begins without it
    this.dispatchEvent(new CustomEvent("ai-image:close"));
  }

  // -- what the server says --------------------------------------------------------------------------------------------

  /** Ask for everything that may have changed since the dialog was last open. */
  async #refresh() {
    this.messages.showAlert(null);
    this.compose.clearErrors(); // the choices are fetched anew, so what was wrong with the old ones is over
    const { api } = this;
    const answers = [api.health(this.#modelSlug), api.presets(), api.models(), api.openTasks(this.#origin)];
    const [health, presets, models, tasks] = await Promise.allSettled(answers);
    const refused = [presets, models, tasks, health].find(({ status }) => status === "rejected");
    if (refused) this.messages.showAlert(refused.reason);
    if (health.value) this.health.tell(health.value);
    if (presets.value && models.value) {
      const promptLimit = health.value?.max_prompt_length;
      this.compose.fill({ presets: presets.value, models: models.value, promptLimit });
    }
    if (!tasks.value) return;
    const here = tasks.value.find((task) => this.#matters(task));
    if (here && (!this.#task || this.#task.id === here.id)) {
      if (!this.#task) this.compose.restore(here);
      this.#follow(here);
    } else if (this.#isDrawing) this.#follow(await this.api.task(this.#task.id));
  }

  /** Whether the author still waits for `task` here: it is for this field, and none of its pictures was taken. */
  #matters({ id, origin, images }) {
    const isHere = !this.#origin?.field || origin?.field === this.#origin.field;
    return isHere && !this.#over.has(id) && !images.some(({ state }) => state === "accepted");
  }

  /** Show `task` and everything that becomes of it. */
  #follow(task) {
    this.#unfollow();
    this.#progress = null;
    this.#onTask(task);
    if (!this.#isDrawing || !this.dialog.open) return;
    this.health.watch();
    this.#unfollow = follow(task, this.api, {
      onTask: (latest) => {
        this.#onTask(latest);
        if (isFinal(latest)) this.health.check(); // what was amiss may be over, or be the reason
      },
      onProgress: (progress) => {
        this.#progress = progress;
        const urls = this.#task.preview_urls.slice(0, progress.previews ?? 0);
        this.gallery.preview(urls.map((url) => `${url}?step=${progress.step}`));
        this.#renderStatus();
      },
      onProblem: (problem) => this.messages.showAlert(problem),
    });
  }

  #onTask(task) {
    const isNews = this.#task?.id !== task.id || this.#task.status !== task.status;
    this.#task = task;
    this.#progress = task.progress ?? (task.status === "running" ? this.#progress : null);
    if (!isFinal(task)) this.gallery.expect(task.num_images, task.width, task.height);
    else if (isNews) this.#onEnd(task);
    this.#render();
  }

  #onEnd(task) {
    const wasInFooter = this.#root.activeElement?.closest(".foot") !== null;
    if (task.status === "succeeded") {
      this.gallery.show(task.images);
      const count = this.gallery.images.length;
      const name = count === 1 ? "ready_single" : "ready_several";
      this.#say({ kind: `ready ${task.id}`, text: this.texts.get(name, { n: count }) });
      if (wasInFooter) this.gallery.focus();
      if (this.#root.activeElement !== this.compose.prompt) this.#showResults();
      return;
    }
    this.gallery.clear();
    this.#say({ kind: `end ${task.id}`, text: this.texts.get(task.status) });
    if (task.status === "cancelled") this.#over.add(task.id);
    if (task.error && task.status === "failed") {
      this.#over.add(task.id);
      this.messages.showAlert(new Problem(task.error));
    }
    if (wasInFooter) action(this.#root, "generate").focus();
  }

  /** Back to an empty right pane; what was typed stays. */
  #forget() {
    this.#clear();
    this.compose.prompt.focus();
  }

  #clear() {
    this.#unfollow();
    this.#task = null;
    this.gallery.clear();
    setText(part(this.#root, "status"), "");
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
    setText(part(this.#root, "status"), "");
    const alt = problem.errors.find(({ field }) => field === "alt_text");
    if (alt) this.review.showError(alt.detail);
    const elsewhere = this.compose.showErrors(problem.errors.filter((error) => error !== alt));
    if (problem.errors.length === 0 || elsewhere.length) this.messages.showAlert(problem, elsewhere);
    if (problem.code === "no_worker") this.health.watch(true);
  }

  // -- what is seen ----------------------------------------------------------------------------------------------------

  #render() {
    const image = this.gallery.chosen;
    const locked = this.#busy || this.#isDrawing;
    const insert = action(this.#root, "insert");
    const cancel = action(this.#root, "cancel");
    const generate = action(this.#root, "generate");
    if (locked) generate.setAttribute("aria-disabled", "true");
    else generate.removeAttribute("aria-disabled");
    generate.classList.toggle("primary", !image);
    insert.classList.toggle("primary", Boolean(image));
    insert.hidden = !image;
    action(this.#root, "retry").hidden = this.#task?.status !== "failed" || this.#task.error?.retryable === false;
    const isOver = !this.#isDrawing || this.#task.cancel_requested;
    if (cancel.matches(":focus") && isOver) generate.focus();
    cancel.hidden = isOver;
    action(this.#root, "library").hidden = Boolean(image?.library);
    action(this.#root, "discard").hidden = Boolean(image?.library);
    this.dialog.dataset.phase = this.#isDrawing ? "drawing" : image ? "choosing" : "composing";
    this.#keepFocus([cancel, insert, this.compose.prompt]);
    this.#renderStatus();
  }

  /** When the control that had the focus was hidden or removed, go to the first of `others` that is shown. */
  #keepFocus(others) {
    const { activeElement } = this.#root;
    if (!this.#focused || isShown(this.#focused) || (activeElement && isShown(activeElement))) return;
    others.find(isShown)?.focus();
  }

  #renderStatus() {
    const bar = part(this.#root, "bar");
    bar.hidden = !this.#isDrawing;
    if (!this.#isDrawing) return;
    const progress = this.#task.status === "running" ? this.#progress : null;
    if (progress?.step) Object.assign(bar, { max: progress.total, value: progress.step });
    else bar.removeAttribute("value");
    this.#say(statusOf(this.#task, progress, this.texts));
  }

  /** On a phone they are below the form. */
  #showResults() {
    part(this.#root, "results").scrollIntoView();
  }

  #say(news) {
    setText(part(this.#root, "status"), news.text);
    this.announcer.say(news);
  }
}

const isShown = (element) => element.getClientRects().length > 0;

/** Resolves when the style sheet is loaded, or cannot be: an unstyled dialog is better than none. */
const styled = (link) =>
  new Promise((resolve) => {
    if (link.sheet) resolve();
    else for (const event of ["load", "error"]) link.addEventListener(event, resolve, { once: true });
  });

customElements.define("ai-image-dialog", AIImageDialogElement);
