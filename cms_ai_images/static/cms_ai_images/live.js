/**
 * Follows one task until it is over: by server-sent events where the server has them, else by asking. A stream tells
 * everything, so that nothing else need be asked meanwhile.
 */

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 5000;
const HIDDEN_PAUSE = 15000;
const UNHEARD = 4000; // a break that is shorter is not worth telling
const FINAL = new Set(["succeeded", "failed", "cancelled"]);

/** Whether nothing will change the task any more. */
export const isFinal = (task) => FINAL.has(task.status);

/**
 * @param {object} task - As the API describes it.
 * @param {import("./api.js").ImagesAPI} api
 * @param {object} on - Handlers, each told one thing: `onTask(task)`, `onProgress(progress)`,
 *   `onPreviews(ImageBitmap[])`, `onHealth(health)`, `onStream(isOpen)`, `onConnection(isThere)` and `onProblem(problem)`
 *   when asking makes no sense any more (logged out, task gone); a broken connection only makes the pauses longer.
 * @returns {Function} Stops following.
 */
export function follow(task, api, on) {
  let stopped = false;
  let source = null;
  let timer = 0;
  let lostTimer = 0;
  let pause = FIRST_PAUSE;

  function stop() {
    if (stopped) return;
    stopped = true;
    source?.close();
    clearTimeout(timer);
    clearTimeout(lostTimer);
    document.removeEventListener("visibilitychange", onVisibility);
    window.removeEventListener("online", hurry);
    on.onStream(false);
  }

  function tell(latest) {
    if (stopped) return;
    if (isFinal(latest)) stop();
    on.onTask(latest);
  }

  async function show(previews) {
    const pictures = await Promise.all(previews.map(decoded));
    if (!stopped) on.onPreviews(pictures);
  }

  function connected() {
    clearTimeout(lostTimer);
    lostTimer = 0;
    on.onConnection(true);
  }

  function disconnected() {
    lostTimer ||= setTimeout(() => on.onConnection(false), UNHEARD);
  }

  function listen() {
    source = new EventSource(task.events_url);
    const listen = (name, act) =>
      source.addEventListener(name, (event) => {
        if (!stopped) act(JSON.parse(event.data));
      });
    listen("task", tell);
    listen("progress", on.onProgress);
    listen("health", on.onHealth);
    listen("previews", ({ images }) => show(images));
    source.addEventListener("open", () => {
      on.onStream(true);
      connected();
    });
    source.addEventListener("error", () => {
      if (stopped) return;
      // The browser mends a broken stream by itself; a refused one (204 under WSGI, an error status) stays closed.
      if (source.readyState !== EventSource.CLOSED) {
        disconnected();
        return;
      }
      on.onStream(false);
      schedule();
    });
  }

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(ask, document.hidden ? HIDDEN_PAUSE : pause);
  }

  async function ask() {
    try {
      const latest = await api.task(task.id);
      if (stopped) return;
      connected();
      tell(latest);
      if (latest.previews?.length) show(latest.previews);
      pause = Math.min(pause * 1.4, LONGEST_PAUSE);
    } catch (problem) {
      if (stopped) return;
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
        stop();
        on.onProblem(problem);
        return;
      }
      if (problem.code === "network" || problem.status >= 500) disconnected();
      pause = Math.max(Math.min(pause * 2, LONGEST_PAUSE * 2), problem.retryAfter * 1000);
    }
    if (!stopped) schedule();
  }

  /** Ask now: the page is looked at again, or the network is back. */
  function hurry() {
    if (stopped || source.readyState !== EventSource.CLOSED) return;
    pause = FIRST_PAUSE;
    clearTimeout(timer);
    ask();
  }

  function onVisibility() {
    if (!document.hidden) hurry();
  }

  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("online", hurry);
  listen();
  return stop;
}

/** Drawn, not linked to: a strict policy for pictures (`img-src`) has nothing against it. */
const decoded = (base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
};
