/**
 * Where a dialog is, and where it may go from there. Nothing else decides that: the controller shows what a state means.
 *
 * idle: nothing asked for, or nothing left to choose from. queued, generating: a task waits or is being drawn.
 * choosing: its pictures are there. reviewing: one of them is being described. inserted: it is in the article.
 */
const MOVES = {
  idle: ["queued", "generating", "choosing"],
  queued: ["generating", "choosing", "reviewing", "idle"],
  generating: ["queued", "choosing", "reviewing", "idle"],
  choosing: ["reviewing", "queued", "generating", "idle"],
  reviewing: ["inserted", "choosing", "queued", "generating", "idle"],
  inserted: ["idle", "queued", "generating", "choosing"],
};

export class Machine {
  #state = "idle";
  #onMove;

  /** @param {(state: string) => void} onMove - Told each new state. */
  constructor(onMove) {
    this.#onMove = onMove;
  }

  get state() {
    return this.#state;
  }

  /** Go to `state`. Going where one is changes nothing; a move that the table lacks is a mistake in the code. */
  to(state) {
    if (state === this.#state) return;
    if (!MOVES[this.#state].includes(state)) throw new Error(`The dialog cannot go from ${this.#state} to ${state}.`);
    this.#state = state;
    this.#onMove(state);
  }
}
