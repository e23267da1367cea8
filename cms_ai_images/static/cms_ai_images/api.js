/**
 * The REST API, and nothing else: no markup, no state. Every failure is a `Problem`.
 */

/** What went wrong, as the server says it (RFC 9457): a stable `code` and a translated `detail`. */
export class Problem extends Error {
  /** `retryAfter`: seconds until it is worth trying again; 0 where nobody says. */
  constructor({ status = 0, code = "unknown", detail = "", errors = [], retryAfter = 0 }) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

function cookie(name) {
  const prefix = `${name}=`;
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(prefix));
  return found ? decodeURIComponent(found.slice(prefix.length)) : "";
}

export class ImagesAPI {
  #unheard = null; // {body, key} of the last request for pictures, until its answer is here

  /**
   * @param {string} url - The root of the API, ending in a slash.
   * @param {{csrfCookie?: string, csrfToken?: string}} [csrf] - The cookie is read anew each time, because logging in
   *   again in another tab changes it; the token serves sites that hide the cookie from scripts.
   */
  constructor(url, { csrfCookie = "csrftoken", csrfToken = "" } = {}) {
    this.url = url;
    this.csrfCookie = csrfCookie;
    this.csrfToken = csrfToken;
  }

  /** Whether a picture would be drawn by `model` (a slug), else by the default model. */
  health(model) {
    return this.#get(model ? `health/?${new URLSearchParams({ model })}` : "health/");
  }

  /** {last, favourite_presets, favourites}: what the author chose last, and what they like. */
  preferences() {
    return this.#get("preferences/");
  }

  /** @param {{last?: object, favourite_presets?: string[]}} changes */
  savePreferences(changes) {
    return this.#write("PATCH", "preferences/", changes);
  }

  addFavourite(name, settings) {
    return this.#post("preferences/favourites/", { name, settings });
  }

  removeFavourite(id) {
    return this.#write("DELETE", `preferences/favourites/${id}/`);
  }

  /** {enabled, balance}: points, where the site counts them. */
  credits() {
    return this.#get("credits/");
  }

  async presets() {
    return (await this.#get("presets/")).results;
  }

  async models() {
    return (await this.#get("models/")).results;
  }

  /** The tasks that still matter to somebody who opens the dialog for `origin`, newest first. */
  async openTasks(origin) {
    const query = new URLSearchParams({ open: "1" });
    if (origin) query.set("origin", `${origin.label}:${origin.object_id}`);
    return (await this.#get(`tasks/?${query}`)).results;
  }

  /** A page of all tasks: {results, next}. @param {object} query - As `GET tasks/` takes it. */
  history(query) {
    return this.#get(`tasks/?${new URLSearchParams(query)}`);
  }

  /** With `previews`, while it is being drawn, as small JPEGs in Base64. */
  task(id) {
    return this.#get(`tasks/${id}/?previews=1`);
  }

  /** Repeated because no answer was heard, the same request leads to the same task: nothing is drawn or paid twice. */
  async createTask(request) {
    const body = JSON.stringify(request);
    if (this.#unheard?.body !== body) this.#unheard = { body, key: randomKey() };
    const task = await this.#write("POST", "tasks/", request, { "Idempotency-Key": this.#unheard.key });
    this.#unheard = null;
    return task;
  }

  cancel(id) {
    return this.#post(`tasks/${id}/cancel/`);
  }

  retry(id) {
    return this.#post(`tasks/${id}/retry/`);
  }

  /** Its pictures stay in the history; nothing counts them any more. */
  putAway(id) {
    return this.#post(`tasks/${id}/put-away/`);
  }

  /** {results: [{id, path}], default: {id, path}}: where in the library the author may put pictures. */
  folders() {
    return this.#get("folders/");
  }

  accept(imageId, details) {
    return this.#post(`images/${imageId}/accept/`, details);
  }

  discard(imageId) {
    return this.#post(`images/${imageId}/discard/`);
  }

  #get(path) {
    return this.#send(path, { method: "GET" });
  }

  #post(path, body = {}) {
    return this.#write("POST", path, body);
  }

  #write(method, path, body = {}, headers = {}) {
    const token =
      cookie(this.csrfCookie) || document.querySelector("[name=csrfmiddlewaretoken]")?.value || this.csrfToken;
    return this.#send(path, {
      method,
      headers: { "Content-Type": "application/json", "X-CSRFToken": token, ...headers },
      body: JSON.stringify(body),
    });
  }

  async #send(path, options) {
    let response;
    let text;
    try {
      response = await fetch(this.url + path, {
        credentials: "same-origin",
        ...options,
        headers: { Accept: "application/json", ...options.headers },
      });
      text = await response.text();
    } catch (error) {
      throw Object.assign(new Problem({ code: "network" }), { cause: error });
    }
    const data = parse(text);
    if (!response.ok) {
      const retryAfter = Number(response.headers.get("Retry-After")) || 0;
      throw new Problem({ ...data, status: response.status, retryAfter });
    }
    if (data === null && response.status !== 204) throw new Problem({ status: response.status, code: "not_json" });
    return data;
  }
}

/** Not `randomUUID`, which plain HTTP does not have. */
const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** The JSON value, or null where a proxy or an error page answered with something else. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
