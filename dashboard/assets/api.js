// The calls to the API. A refusal, a dead line and a slow answer all become one thing: a Problem.

const TIMEOUT_MS = 30_000;

/** `code`, `message` and `details` as the API says them; `retrySeconds` where it says when to come back. */
export class Problem extends Error {
  constructor({ status = 0, code, message, details, retrySeconds = null, requestId = null }) {
    super(message);
    Object.assign(this, { status, code, details, retrySeconds, requestId });
  }
}

const OFFLINE = {
  code: "OFFLINE",
  message: "You are offline",
  details: "Nothing was lost. Try again when the connection is back.",
};
const UNREACHABLE = {
  code: "UNREACHABLE",
  message: "The service does not answer",
  details: "It may be restarting, or something between here and there is down.",
};
const SLOW = {
  code: "TIMEOUT",
  message: "The service took too long to answer",
  details: "Try again in a moment.",
};

let csrfToken = null;
let sessionOver = () => {};

/** What every write carries from now on. */
export function carry(token) {
  csrfToken = token;
}

/** `listener` hears of it when a call is refused because nobody is signed in. */
export function whenSessionIsOver(listener) {
  sessionOver = listener;
}

/**
 * The body of the answer; raises Problem, or AbortError when `signal` says so.
 * `anonymous`: a 401 is an answer like any other.
 */
export async function call(method, path, { body, signal, anonymous = false } = {}) {
  try {
    return await send(method, path, { body, signal });
  } catch (problem) {
    if (problem.code === "INVALID_CSRF_TOKEN" && !anonymous) {
      await refreshToken(); // somebody signed in again in another window
      return send(method, path, { body, signal });
    }
    if (problem.status === 401 && !anonymous) sessionOver(problem);
    throw problem;
  }
}

async function send(method, path, { body, signal }) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrfToken) headers["X-CSRF-Token"] = csrfToken;
  const patience = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    const text = await answer.text();
    if (!answer.ok) throw refusal(answer.status, text, (name) => answer.headers.get(name));
    return parse(text, answer.status);
  } catch (error) {
    throw explain(error, signal);
  }
}

async function refreshToken() {
  carry((await send("GET", "/v1/session", {})).csrf_token);
}

/**
 * Uploads a picture: XMLHttpRequest, since fetch says nothing of how far an upload has come.
 * `progress` hears the fraction sent, 0 to 1.
 */
export async function upload(userId, file, { progress, signal } = {}) {
  try {
    return await post(userId, file, progress, signal);
  } catch (problem) {
    if (problem.code === "INVALID_CSRF_TOKEN") {
      await refreshToken();
      return post(userId, file, progress, signal);
    }
    if (problem.status === 401) sessionOver(problem);
    throw problem;
  }
}

function post(userId, file, progress = () => {}, signal) {
  const form = new FormData();
  form.append("user_id", userId);
  form.append("image", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/upload");
    request.setRequestHeader("Accept", "application/json");
    if (csrfToken) request.setRequestHeader("X-CSRF-Token", csrfToken);
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      try {
        if (request.status >= 400) {
          reject(refusal(request.status, request.responseText, (name) => request.getResponseHeader(name)));
        } else {
          resolve(parse(request.responseText, request.status));
        }
      } catch (problem) {
        reject(problem);
      }
    });
    request.addEventListener("error", () => reject(new Problem(navigator.onLine ? UNREACHABLE : OFFLINE)));
    request.addEventListener("abort", () => reject(new DOMException("Cancelled", "AbortError")));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/** The Problem of an answer of 400 and above; `header` finds one by its name. */
export function refusal(status, text, header) {
  const seconds = Number.parseInt(header("Retry-After") ?? "", 10);
  const common = {
    status,
    retrySeconds: Number.isFinite(seconds) ? seconds : null,
    requestId: header("X-Request-Id"),
  };
  try {
    const { code, message, details } = JSON.parse(text).error;
    return new Problem({ ...common, code, message, details });
  } catch {
    return new Problem({
      ...common,
      code: `HTTP_${status}`,
      message: UNREACHABLE.message,
      details: UNREACHABLE.details,
    });
  }
}

function parse(text, status) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem({ status, ...UNREACHABLE });
  }
}

/** What fetch raises, as a Problem; an AbortError of `signal` stays one. */
export function explain(error, signal) {
  if (error instanceof Problem || signal?.aborted) return error;
  if (error.name === "TimeoutError") return new Problem(SLOW);
  return new Problem(navigator.onLine ? UNREACHABLE : OFFLINE);
}
