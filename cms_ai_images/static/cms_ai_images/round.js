/** The task that the dialog shows, and everything that becomes of it while somebody looks. */
import { follow, isFinal } from "./live.js";

export class Round {
  task = null;
  progress = null;
  isStreaming = false; // a stream tells everything: nothing need be asked
  isConnected = true;
  #api;
  #on;
  #unfollow = () => {};

  /**
   * @param {import("./api.js").ImagesAPI} api
   * @param {{onTask: Function, onProgress: Function, onPreviews: Function, onHealth: Function, onProblem: Function}} on -
   *   `onTask(task, isNews)`: `isNews` when it is another task or in another state than the last one told; the others as
   *   in live.js.
   */
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
  }

  get isDrawing() {
    return this.task !== null && !isFinal(this.task);
  }

  /** Show `task`, and with `live` whatever comes of it. */
  show(task, live) {
    this.stop();
    this.progress = null;
    this.isConnected = true;
    this.#tell(task);
    if (!this.isDrawing || !live) return;
    this.#unfollow = follow(task, this.#api, {
      onTask: (latest) => this.#tell(latest),
      onProgress: (progress) => {
        this.progress = progress;
        this.#on.onProgress();
      },
      onPreviews: this.#on.onPreviews,
      onHealth: this.#on.onHealth,
      onStream: (isOpen) => (this.isStreaming = isOpen),
      onConnection: (isThere) => {
        this.isConnected = isThere;
        this.#on.onProgress();
      },
      onProblem: this.#on.onProblem,
    });
  }

  /** Stop looking; the task goes on. */
  stop() {
    this.#unfollow();
  }

  clear() {
    this.stop();
    this.task = null;
    this.progress = null;
  }

  #tell(task) {
    const isNews = this.task?.id !== task.id || this.task.status !== task.status;
    this.task = task;
    this.progress = task.progress ?? (task.status === "running" ? this.progress : null);
    this.#on.onTask(task, isNews);
  }
}
