/**
 * How tasks come and go: which one is shown, what stood there before it, which others wait to be looked at, and what
 * became of them. What the author does with their pictures is the controller's.
 */
import { Problem } from "./api.js";
import { action, part } from "./dom.js";
import { isFinal } from "./live.js";

export class Course {
  failed = null; // the task that could be tried again
  #root;
  #parts;
  #machine;
  #origin;
  #on;
  #earlier = null; // {task, image, isReviewed}: the pictures that were there before the task that is being drawn
  #over = new Set(); // ids of tasks that the author is done with

  /**
   * @param {ShadowRoot} root
   * @param {object} parts - As parts.js makes them.
   * @param {{machine: object, origin: object|null, onView: Function, onReview: Function}} options - `onView(name)`: the
   *   right pane has to show that; `onReview()`: the chosen picture is reviewed again.
   */
  constructor(root, parts, { machine, origin, ...on }) {
    this.#root = root;
    this.#parts = parts;
    this.#machine = machine;
    this.#origin = origin;
    this.#on = on;
  }

  /** The tasks that still matter here, the newest first. */
  async ask() {
    return (await this.#parts.api.openTasks(this.#origin)).filter((task) => this.#matters(task));
  }

  /** The dialog was opened, and these are open: show what came of them meanwhile. Returns one to be asked about. */
  resume(open) {
    const { round, compose, desk } = this.#parts;
    const { task } = round;
    const [here] = open;
    desk.fill(open);
    if (here && (!task || task.id === here.id)) {
      if (!task && !compose.prompt.value) compose.restore(here); // else something else is being written
      const ready = open.find(({ status }) => status === "succeeded");
      if (!task && ready && ready !== here) this.follow(ready); // they stay where nothing comes of the newer one
      this.follow(here);
      return null;
    }
    return round.isDrawing ? task : null;
  }

  /** Show a task that was asked for some time ago as if it had just been. */
  open(task) {
    const { messages, gallery } = this.#parts;
    this.#earlier = null;
    messages.showAlert(null); // it was about another one
    this.follow(task);
    this.#on.onView("results");
    if (isFinal(task)) gallery.focus();
  }

  /** Show `task` and everything that becomes of it. */
  follow(task) {
    const { round, gallery, health } = this.#parts;
    const { state } = this.#machine;
    const hadPictures = (state === "choosing" || state === "reviewing") && round.task.id !== task.id;
    if (hadPictures) this.#earlier = { task: round.task, image: gallery.chosen, isReviewed: state === "reviewing" };
    this.failed = null;
    if (!isFinal(task)) this.#over.delete(task.id); // it is tried again
    round.show(task, this.#root.querySelector("dialog").open);
    if (round.isDrawing) health.watch();
  }

  /** The author has taken a picture of the task that is shown, or wants none of them. What was typed stays. */
  finish() {
    const { round, desk } = this.#parts;
    this.#over.add(round.task.id);
    desk.remove(round.task.id);
    this.clear();
  }

  /** A picture of the task that is shown has become `image`: taken, or thrown away. It must not come back as it was. */
  note(image) {
    const { round, desk } = this.#parts;
    const images = round.task.images.map((other) => (other.id === image.id ? image : other));
    round.task = { ...round.task, images };
    if (this.#matters(round.task)) desk.update(round.task);
    else desk.remove(round.task.id);
  }

  /** Back to an empty right pane; what was typed stays. */
  clear() {
    const { round, gallery, status, desk } = this.#parts;
    round.clear();
    gallery.clear();
    status.clear();
    desk.show(null);
    if (this.#machine.state !== "inserted") this.#machine.to("idle");
    this.#on.onView("results");
  }

  /** The dialog was closed: the work goes on, nobody looks. */
  stop() {
    const { round, desk } = this.#parts;
    round.stop();
    desk.stop();
    this.failed = null; // its reason was told; the next time begins without it
  }

  /** The server has said something of the task that is shown: `isNews` when it is another one or in another state. */
  tell(task, isNews) {
    const { gallery, desk, health } = this.#parts;
    desk.show(task.id);
    if (!isFinal(task)) {
      this.#machine.to(task.status === "queued" ? "queued" : "generating");
      gallery.expect(task.num_images, task.width, task.height);
      if (this.#matters(task)) desk.put(task);
    } else if (isNews) {
      this.#end(task);
      health.check(); // what was amiss may be over, or be the reason
    }
  }

  /** Whether the author still waits for `task` here: it is for this field, and none of its pictures was taken. */
  #matters({ id, origin, images }) {
    const isHere = !this.#origin?.field || origin?.field === this.#origin.field;
    return isHere && !this.#over.has(id) && !images.some(({ state }) => state === "accepted");
  }

  #end(task) {
    const { gallery, compose, status, messages, texts, desk } = this.#parts;
    const wasInFooter = Boolean(this.#root.activeElement?.closest(".foot"));
    if (task.status === "succeeded") {
      this.#earlier = null;
      this.#showPictures(task);
      const count = gallery.images.length;
      const name = count === 1 ? "ready_single" : "ready_several";
      status.say({ kind: `ready ${task.id}`, text: texts.get(name, { n: count }) });
      desk.update(task);
      if (wasInFooter) gallery.focus();
      if (this.#root.activeElement !== compose.prompt) part(this.#root, "results").scrollIntoView();
      return;
    }
    this.#over.add(task.id);
    desk.remove(task.id);
    this.#returnToEarlier();
    status.say({ kind: `end ${task.id}`, text: texts.get(task.status) });
    if (task.status === "failed") {
      this.failed = task;
      if (task.error) messages.showAlert(new Problem(task.error));
    }
    if (wasInFooter) action(this.#root, "generate").focus();
  }

  #showPictures(task, chosen) {
    const { gallery, actions } = this.#parts;
    gallery.show(task.images);
    if (chosen) gallery.choose(chosen);
    this.#machine.to(gallery.images.length ? "choosing" : "idle");
    actions.show(gallery.chosen, task, gallery.images);
  }

  /** An error leads back to the state before: to the pictures that were there, or to an empty pane. */
  #returnToEarlier() {
    const { round, gallery, desk } = this.#parts;
    const earlier = this.#earlier;
    this.#earlier = null;
    if (!earlier) {
      this.clear();
      return;
    }
    round.clear();
    round.task = earlier.task;
    desk.show(earlier.task.id);
    this.#showPictures(earlier.task, earlier.image);
    if (earlier.isReviewed && gallery.chosen) this.#on.onReview();
  }
}
