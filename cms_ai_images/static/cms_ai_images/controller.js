/**
 * What the author does in the dialog: it knows the parts, the states (machine.js) and what leads from one to the next.
 * The left pane asks (compose.js); the right one shows one of three views: the pictures, one picture under review, or the
 * history. Which task is shown, and what becomes of it, is told by course.js.
 */
import { Problem } from "./api.js";
import { Course } from "./course.js";
import { action, part } from "./dom.js";
import { Machine } from "./machine.js";
import { buildParts } from "./parts.js";

const DOUBLE_CLICK = 500; // "Cancel" may appear under the second click on "Generate"

export class Controller {
  #root;
  #origin;
  #onInsert;
  #course;
  #busy = false;
  #ready = Promise.resolve();
  #cancelFrom = 0;
  #accepting = Promise.resolve(); // the picture that is on its way into the text

  /**
   * @param {ShadowRoot} root
   * @param {object} options
   * @param {object|null} options.origin - What the pictures are for.
   * @param {{figure: boolean, align: boolean, decorative: boolean}} options.capabilities - Of the place they go to.
   * @param {Function} options.onInsert - Given the accepted image, with what an editor needs to insert it.
   */
  constructor(root, { origin, capabilities, onInsert }) {
    this.#root = root;
    this.dialog = root.querySelector("dialog");
    this.#origin = origin;
    this.#onInsert = onInsert;
    this.machine = new Machine((state) => (this.dialog.dataset.state = state));
    this.dialog.dataset.state = this.machine.state;
    const parts = buildParts(root, capabilities, {
      task: (task, isNews) => this.#onTask(task, isNews),
      choose: (image) => this.#onChoose(image),
      use: () => this.#use(),
      refine: (image) => this.compose.refine(this.round.task, image),
      vary: () => this.#attempt(() => this.#vary()),
      recall: (image) => this.#recall(image),
      discard: (image) => this.#attempt(() => this.#discard(image)),
      openTask: (task) => this.#busy || this.#course.open(task),
      retry: (task) => this.#attempt(async () => this.#course.open(await this.api.retry(task.id))),
      openTasks: () => this.#course.ask(),
      leaveHistory: () => this.#showView(this.#viewOfState),
      model: () => this.#modelSlug,
    });
    Object.assign(this, parts);
    this.#course = new Course(root, parts, {
      machine: this.machine,
      origin,
      onView: (name) => this.#showView(name),
      onReview: () => this.#use(),
    });
    this.compose.form.addEventListener("submit", (event) => this.#onSubmit(event, () => this.#generate()));
    this.review.form.addEventListener("submit", (event) => this.#onSubmit(event, () => this.#insert()));
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("cancel", (event) => this.#onEscape(event));
    root.addEventListener("click", (event) => this.#onClick(event));
    window.addEventListener("focus", () => this.#onReturn());
  }

  /** The dialog was opened. */
  open({ prompt = "", selection = "", article = null }) {
    this.compose.offer({ selection, article });
    this.compose.prompt.focus();
    if (prompt && !this.compose.prompt.value) this.compose.setPrompt(prompt);
    if (this.machine.state === "inserted") this.machine.to("idle");
    this.#showView(this.#viewOfState);
    this.#ready = this.#refresh();
  }

  /** The dialog was closed: the work goes on, nobody looks. Resolves when nothing is on its way into the text. */
  async close() {
    this.#course.stop();
    this.health.stop();
    await Promise.allSettled([this.#accepting]);
  }

  /** The model that draws or would draw. */
  get #modelSlug() {
    return this.round.isDrawing ? this.round.task.model?.slug : this.compose.model?.slug;
  }

  // -- what the author does --------------------------------------------------------------------------------------------

  #onClick(event) {
    const name = event.target.closest("[data-action]")?.dataset.action;
    const acts = {
      cancel: () => Date.now() > this.#cancelFrom && this.#attempt(() => this.#cancel()),
      retry: () => this.#attempt(async () => this.#course.follow(await this.api.retry(this.#course.failed.id))),
      "put-away": () => this.#attempt(() => this.#putAway()),
      use: () => this.#busy || this.#use(),
      back: () => this.#busy || this.#back(),
      library: () => this.#attempt(() => this.#addToLibrary()),
      history: () => this.#showView(this.views.current === "history" ? this.#viewOfState : "history"),
    };
    if (Object.hasOwn(acts, name)) acts[name]();
  }

  /** Ctrl + Enter does what one is about to do where the focus is: insert the picture under review, else generate. */
  #onKey(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (event.target.closest('[data-part="history"]')) return;
    const inserts = this.views.current === "review" && !this.compose.form.contains(event.target);
    this.#onSubmit(event, () => (inserts ? this.#insert() : this.#generate()));
  }

  /** Escape closes the topmost thing only. */
  #onEscape(event) {
    const view = this.views.current;
    if (event.target !== this.dialog || view === "results") return;
    event.preventDefault();
    if (view === "history") this.#showView(this.#viewOfState);
    else if (!this.#busy) this.#back(); // it is on its way into the text
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
    const isShown = this.round.task?.id === task.id;
    this.#course.follow(task);
    if (isShown) this.#tellSame(task);
    this.#updateCredits();
    this.#cancelFrom = Date.now() + DOUBLE_CLICK;
    this.#showView("results");
    part(this.#root, "results").scrollIntoView(); // on a phone they are below the form
  }

  /** Exactly these pixels were asked for: the server draws nothing twice, and answers with what is shown already. */
  #tellSame(task) {
    if (this.machine.state === "reviewing") this.machine.to("choosing");
    this.status.say({ kind: `same ${task.id}`, text: this.texts.get("same") });
  }

  async #cancel() {
    const { id } = this.round.task;
    try {
      this.#course.follow(await this.api.cancel(id));
    } catch (problem) {
      if (problem.code !== "state_conflict") throw problem;
      this.#course.follow(await this.api.task(id)); // it was over already, and nobody has told us yet
    }
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
    this.#accepting = this.#accept();
    const accepted = await this.#accepting;
    this.machine.to("inserted");
    this.#course.finish();
    this.#onInsert(accepted);
  }

  async #addToLibrary() {
    if (!this.review.isComplete()) return;
    const accepted = await this.#accept();
    this.gallery.replace(accepted);
    this.#course.note(accepted);
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
    try {
      this.#course.note(await this.api.discard(image.id));
    } catch (problem) {
      if (problem.code === "already_accepted") await this.#showTaken(image);
      throw problem;
    }
    this.gallery.remove(image);
    if (this.gallery.chosen) this.gallery.focus();
    else this.#leave();
    this.status.say({ kind: "discarded", text: this.texts.get("discarded") });
  }

  /** `image` was taken somewhere else, in another tab perhaps: show it as what it is now. */
  async #showTaken(image) {
    const { images } = await this.api.task(this.round.task.id);
    const taken = images.find(({ id }) => id === image.id);
    if (!taken) return;
    this.gallery.replace(taken);
    this.#course.note(taken);
  }

  /** The author does not want to decide: the pictures stay in the history, and nothing counts them any more. */
  async #putAway() {
    await this.api.putAway(this.round.task.id);
    this.#leave();
    this.status.say({ kind: "put away", text: this.texts.get("put_away") });
  }

  /** The pictures that are shown are done with: on to the next ones, or to the description. */
  #leave() {
    this.#course.finish();
    if (!this.desk.focus()) this.compose.prompt.focus();
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
    this.actions.show(image, this.round.task, this.gallery.images, this.gallery.expected);
    this.#render();
  }

  // -- what the server says --------------------------------------------------------------------------------------------

  /** Ask for everything that may have changed since the dialog was last open. */
  async #refresh() {
    this.messages.showAlert(null);
    this.compose.clearErrors(); // the choices are fetched anew, so what was wrong with the old ones is over
    const { api } = this;
    const { problem, tasks, health, ...choices } = await answers({
      presets: api.presets(),
      models: api.models(),
      tasks: this.#course.ask(),
      health: api.health(this.#modelSlug),
      preferences: api.preferences(),
      credits: api.credits(),
    });
    if (problem) this.messages.showAlert(problem);
    if (health) this.health.tell(health);
    if (choices.presets && choices.models) this.compose.fill({ ...choices, limits: health });
    const unheard = tasks && this.#course.resume(tasks);
    if (unheard) await this.#attempt(async () => this.#course.follow(await api.task(unheard.id)));
  }

  #onTask(task, isNews) {
    this.#course.tell(task, isNews);
    const isOver = task.status === "failed" || task.status === "cancelled";
    if (isNews && isOver && task.cost) this.#updateCredits(); // they come back
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
    if ([402, 429].includes(problem.status)) this.#updateCredits(); // what was told may not be what counts
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

  #showView(name) {
    this.views.show(name);
    this.#render();
  }

  #render() {
    const { task } = this.round;
    const image = this.gallery.chosen;
    const inHistory = this.views.current === "history";
    this.foot.show({ state: this.machine.state, busy: this.#busy, task, image, failed: this.#course.failed, inHistory });
    action(this.#root, "put-away").hidden = this.machine.state !== "choosing";
    this.focus.keep();
    this.status.show(this.round);
  }
}

/** What `questions` were answered, by name, and the first `problem` of those that were not. */
async function answers(questions) {
  const settled = await Promise.allSettled(Object.values(questions));
  const named = Object.keys(questions).map((name, index) => [name, settled[index].value]);
  const problem = settled.find(({ status }) => status === "rejected")?.reason;
  return { problem, ...Object.fromEntries(named) };
}
