/**
 * What is wrong, above both panes: a notice while something is amiss, an alert when something that was asked for failed.
 * Neither repeats the other, and an alert about the state of the site goes when the site is well again.
 */
import { make, part } from "./dom.js";

/** Problems that pass without the author doing anything, as `GET health/` calls them. Nobody knows when. */
const PASSING = new Set(["no_worker", "no_model_configured"]);
/** The one of which it is known when it is over. */
const TIMED = "rate_limited";

export class Messages {
  #texts;
  #alertCode = "";
  #noticeStatus = "";
  #timer = 0;

  constructor(root, texts) {
    this.notice = part(root, "notice");
    this.alert = part(root, "alert");
    this.#texts = texts;
  }

  /** Whether the author has to log in, which happens in another tab. */
  get needsLogin() {
    return this.#alertCode === "not_logged_in";
  }

  /** @param {{status: string, detail: string}} health */
  showHealth({ status, detail = "" }) {
    if (status === "ok" && PASSING.has(this.#alertCode)) this.showAlert(null);
    const text = status === "ok" || status === this.#alertCode ? "" : detail;
    this.#noticeStatus = text && status;
    // The region is live: the same words again would be read out again.
    if (this.notice.textContent === text) return;
    this.notice.replaceChildren(...(text ? [make("p", { className: "message warning" }, text)] : []));
  }

  /** Say what `problem` says, or `errors` in its place where they belong to no field; nothing for null. */
  showAlert(problem, errors = []) {
    this.#alertCode = problem?.code ?? "";
    clearTimeout(this.#timer);
    if (!problem) {
      this.alert.replaceChildren();
      return;
    }
    const { status, code, detail } = problem;
    const own = errors.map((error) => error.detail).join(" ") || detail;
    const fallback = code === "network" ? "network" : "unexpected";
    const message = make("p", { className: "message error" }, own || this.#texts.get(fallback, { status }));
    if (status === 401) {
      const link = make("a", { href: location.href, target: "_blank", rel: "noopener" }, this.#texts.get("log_in"));
      message.append(" ", link);
    }
    if (PASSING.has(code)) message.append(" ", this.#texts.get("goes_when_over"));
    if (code === TIMED && problem.retryAfter) {
      message.append(" ", this.#whenAgain(problem.retryAfter));
      this.#timer = setTimeout(() => this.showAlert(null), problem.retryAfter * 1000);
    }
    this.alert.replaceChildren(message);
    if (code === this.#noticeStatus) this.showHealth({ status: code });
  }
  /** When a limit lifts: the time of day, for a countdown would be read out again and again. */
  #whenAgain(seconds) {
    const time = new Date(Date.now() + seconds * 1000);
    const style = { hour: "numeric", minute: "2-digit", second: seconds < 120 ? "2-digit" : undefined };
    return this.#texts.get("again_at", { time: time.toLocaleTimeString(this.alert.closest("dialog").lang, style) });
  }
}
