/** What a task is doing, in words, and how those words reach people who do not see them. */
import { part, setText } from "./dom.js";

const REPEAT_PAUSE = 8000;
const SHORTEST_TIME = 3; // seconds; less is not worth reading
const MINUTE = 90; // seconds from which on minutes are told
const TIMED = /^(waiting|drawing)/;

/** @returns {{kind: string, text: string}} `kind` changes when the news is of another sort, not with every step. */
export function statusOf(task, progress, texts) {
  const status = withoutTime(task, progress, texts);
  const seconds = progress?.eta_seconds ?? task.eta_seconds;
  if (!seconds || seconds < SHORTEST_TIME || !TIMED.test(status.kind)) return status;
  const text =
    seconds < MINUTE
      ? texts.get("about_seconds", { status: status.text, n: seconds })
      : texts.get("about_minutes", { status: status.text, n: Math.round(seconds / 60) });
  return { ...status, text };
}

function withoutTime(task, progress, texts) {
  if (task.cancel_requested) return { kind: "cancelling", text: texts.get("cancelling") };
  if (task.status === "queued") {
    const { position } = task;
    if (!position) return { kind: "waiting", text: texts.get("waiting") };
    const text = position === 1 ? texts.get("waiting_next") : texts.nth("waiting", position);
    return { kind: `waiting ${position}`, text };
  }
  if (!progress?.step) return { kind: "preparing", text: texts.get("preparing") };
  if (progress.step >= progress.total) return { kind: "saving", text: texts.get("saving") };
  return { kind: "drawing", text: texts.get("drawing", progress) };
}

/** A polite live region that tells news at once and repeats of the same sort only now and then. */
export class Announcer {
  #kind = "";
  #time = 0;

  constructor(region) {
    this.region = region;
  }

  say({ kind, text }) {
    const now = Date.now();
    if (kind === this.#kind && now - this.#time < REPEAT_PAUSE) return;
    this.#kind = kind;
    this.#time = now;
    setText(this.region, text);
  }
}

/** The line and the bar above the pictures, and the live region that tells the same. */
export class Status {
  #line;
  #bar;
  #texts;
  #announcer;

  constructor(root, texts) {
    this.#line = part(root, "status");
    this.#bar = part(root, "bar");
    this.#texts = texts;
    this.#announcer = new Announcer(part(root, "announcer"));
  }

  say(news) {
    setText(this.#line, news.text);
    this.#announcer.say(news);
  }

  /** What the shown task is doing. What was said last stands when it does nothing any more. */
  show({ task, progress, isDrawing, isConnected }) {
    this.#bar.hidden = !isDrawing;
    if (!isDrawing) return;
    if (!isConnected) {
      this.#bar.removeAttribute("value");
      this.say({ kind: "unconnected", text: this.#texts.get("unconnected") });
      return;
    }
    const current = task.status === "running" ? progress : null;
    if (current?.step) Object.assign(this.#bar, { max: current.total, value: current.step });
    else this.#bar.removeAttribute("value");
    this.say(statusOf(task, current, this.#texts));
  }

  clear() {
    setText(this.#line, "");
  }
}
