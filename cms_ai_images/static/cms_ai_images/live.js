/**
 * Follows one task until it is over: by server-sent events where the server has them, else by asking.
 */

const FIRST_PAUSE = 700;
const LONGEST_PAUSE = 4000;
const HIDDEN_PAUSE = 15000;
const FINAL = new Set(["succeeded", "failed", "cancelled"]);

/** Whether nothing will change the task any more. */
export const isFinal = (task) => FINAL.has(task.status);

/**
 * @param {object} task - As the API describes it.
 * @param {import("./api.js").ImagesAPI} api
 * @param {{onTask: Function, onProgress: Function, onProblem: Function}} handlers - `onProblem` is called when asking
 *   makes no sense any more (logged out, task gone); a broken connection only makes the pauses longer.
 * @returns {Function} Stops following.
 */
export function follow(task, api, { onTask, onProgress, onProblem }) {
  let stopped = false;
  let source = null;
  let timer = 0;
  let pause = FIRST_PAUSE;

  function stop() {
    stopped = true;
    source?.close();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisibility);
  }

  function tell(latest) {
    if (stopped) return;
    if (isFinal(latest)) stop();
    onTask(latest);
  }

  function listen() {
    source = new EventSource(task.events_url);
    source.addEventListener("task", (event) => tell(JSON.parse(event.data)));
    source.addEventListener("progress", (event) => {
      if (!stopped) onProgress(JSON.parse(event.data));
    });
    // The browser mends a broken stream by itself; a refused one (204 under WSGI, an error status) stays closed.
    source.addEventListener("error", () => {
      if (!stopped && source.readyState === EventSource.CLOSED) schedule();
    });
  }

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(ask, document.hidden ? HIDDEN_PAUSE : pause);
  }

  async function ask() {
    try {
      tell(await api.task(task.id));
      pause = Math.min(pause * 1.3, LONGEST_PAUSE);
    } catch (problem) {
      if (stopped) return;
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
        stop();
        onProblem(problem);
        return;
      }
      pause = Math.min(pause * 2, LONGEST_PAUSE * 2);
    }
    if (!stopped) schedule();
  }

  function onVisibility() {
    if (document.hidden || stopped || source?.readyState !== EventSource.CLOSED) return;
    pause = FIRST_PAUSE;
    clearTimeout(timer);
    ask();
  }

  document.addEventListener("visibilitychange", onVisibility);
  listen();
  return stop;
}
