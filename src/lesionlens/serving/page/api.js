// The one place that talks to the server. Every failure becomes a Problem with a title, a detail
// and, where the server gave one, a request id.

const TOKEN = "lesionlens-token";
const ROOT = "v1/";
const ANSWER_MS = 120_000;

/** Something that did not work, as RFC 9457 problem details describe it; status 0: no answer at all. */
export class Problem extends Error {
  constructor({ status = 0, title, detail = "", code = "", requestId = "", retryAfter = null }) {
    super(title);
    Object.assign(this, { status, title, detail, code, requestId, retryAfter });
  }
}

const handlers = { token: async () => null, gone: () => {}, back: () => {} };
let asking = null; // one prompt at a time, however many requests were refused

/** Set what happens when a token is wanted (a promise of one, or null), and when the server goes or comes back. */
export function listen(wanted) {
  Object.assign(handlers, wanted);
}

export const token = () => sessionStorage.getItem(TOKEN);
export const keepToken = (value) => sessionStorage.setItem(TOKEN, value);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

/** The server's answer to a request; throws a Problem. A 401 asks for a token and tries again. */
export async function call(path, options = {}) {
  return withToken(async (sent) => {
    const headers = { Accept: "application/json", ...options.headers, ...authorisation(sent) };
    let response;
    try {
      response = await fetch(ROOT + path, { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable();
    }
    handlers.back();
    if (response.ok) return response;
    throw problemOf(response.status, await response.json().catch(() => null), (name) => response.headers.get(name));
  });
}

export const callJson = async (path, options) => (await call(path, options)).json();

export const postJson = (path, value) =>
  callJson(path, { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

/** Send one image; `progress` hears the share that is on its way. XMLHttpRequest, for fetch does not tell. */
export function sendImage(file, frame, progress, signal) {
  return withToken((sent) => upload(file, frame, sent, progress, signal));
}

/** Whether the server answers at all. */
export async function alive() {
  try {
    return (await fetch("healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

async function withToken(attempt) {
  for (;;) {
    const sent = token();
    try {
      return await attempt(sent);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      if (token() === sent) await renewToken(sent, error);
    }
  }
}

async function renewToken(refused, problem) {
  asking ??= handlers.token(refused, problem).finally(() => (asking = null));
  const given = await asking;
  if (!given) throw problem;
  keepToken(given);
}

function upload(file, frame, sent, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const body = new FormData();
    body.append("file", file, file.name);
    request.open("POST", `${ROOT}predictions${frame ? `?frame=${frame}` : ""}`);
    request.responseType = "json"; // null where it is none
    request.setRequestHeader("Accept", "application/json");
    for (const [name, value] of Object.entries(authorisation(sent))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : 0);
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("taken back", "AbortError"));
    request.timeout = ANSWER_MS;
    request.ontimeout = () =>
      reject(
        new Problem({
          status: 408,
          title: "The server did not answer in time",
          detail: "It may still have recorded an answer; see the history.",
        }),
      );
    request.onload = () => {
      handlers.back();
      if (request.status === 201) resolve(request.response);
      else reject(problemOf(request.status, request.response, (name) => request.getResponseHeader(name)));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

const authorisation = (sent) => (sent ? { Authorization: `Bearer ${sent}` } : {});

function unreachable() {
  handlers.gone();
  return new Problem({
    title: "The server cannot be reached",
    detail: "Nothing was lost: what waits is sent when it is back.",
  });
}

/** What the server said was wrong; a proxy's page of HTML gives its status only. */
function problemOf(status, body, header) {
  const said = body ?? {};
  const wait = Number(header("Retry-After"));
  return new Problem({
    status,
    title: said.title ?? `The server answered ${status}`,
    detail: typeof said.detail === "string" ? said.detail : "",
    code: said.code ?? "",
    requestId: said.request_id ?? header("X-Request-ID") ?? "",
    retryAfter: header("Retry-After") !== null && Number.isFinite(wait) ? Math.max(1, wait) : null,
  });
}
