/**
 * Asks now and then whether pictures would be drawn: while somebody waits for one, and while something is amiss.
 */
import { Problem } from "./api.js";

const PAUSE = 15000;

export class HealthWatch {
  #api;
  #options;
  #timer = 0;
  #asked = 0; // only the answer to the last question counts
  #isAmiss = false;

  /**
   * @param {import("./api.js").ImagesAPI} api
   * @param {{model: Function, isWaiting: Function, isTold: Function, onHealth: Function}} options - `model()` is the slug
   *   of the model whose workers matter now, or undefined; `isWaiting()` whether somebody waits; `isTold()` whether a
   *   stream tells it unasked; `onHealth` is told each answer.
   */
  constructor(api, options) {
    this.#api = api;
    this.#options = options;
  }

  /** Tell an answer that is here already, and go on asking if need be. */
  tell(health) {
    this.#isAmiss = health.status !== "ok";
    this.#options.onHealth(health);
    this.watch();
  }

  /** Ask now. */
  async check() {
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    try {
      const health = await this.#api.health(this.#options.model());
      if (asked === this.#asked) this.tell(health);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (asked === this.#asked) this.watch(); // what was said last stands until there is an answer
    }
  }

  /** Ask after a pause, if there is a reason to: `because` says that there is. */
  watch(because = this.#isAmiss || this.#options.isWaiting()) {
    clearTimeout(this.#timer);
    if (because) this.#timer = setTimeout(() => this.#look(), PAUSE);
  }

  /** Not while a stream tells it anyway, or nobody looks. */
  #look() {
    if (this.#options.isTold() || document.hidden) this.watch(true);
    else this.check();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#asked += 1;
  }
}
