// The only module that talks to the server. Every failure becomes a Problem with a title, a detail and,
// where the server gave one, a request id.

import { Problem } from "./problem.js";

const TOKEN = "lesionlens-token";
const ROOT = "v1/";
const RESPONSE_MS = 120_000;

const handlers = { token: async () => null, gone: () => {}, back: () => {} };
let prompt = null; // one at a time, however many requests were refused

/** Set what happens when a token is needed (a promise of one, or null), and when the server goes or comes back. */
export const listen = (changes) => Object.assign(handlers, changes);

export const token = () => sessionStorage.getItem(TOKEN);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

/** The server's response to a request; throws a Problem. A 401 asks for a token and tries again. */
export async function call(path, options = {}) {
  return withToken(async (sent) => {
    const headers = { Accept: "application/json", ...options.headers, ...authorisation(sent) };
    let response;
    try {
      response = await fetch(ROOT + path, { ...options, headers, cache: "no-store" });
    } catch (error) {
      throw error.name === "AbortError" ? error : unreachable();
    }
    handlers.back();
    if (response.ok) return response;
    throw problemOf(response.status, await response.json().catch(() => null), (name) => response.headers.get(name));
  });
}

export const callJson = async (path, options) => (await call(path, options)).json();

export const postJson = (path, value) =>
  callJson(path, { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

/** Send one image and what is known of its patient; `progress` is called with the share that is sent. XMLHttpRequest, because fetch does not report it. */
export const sendImage = (file, frame, progress, signal, metadata = {}) =>
  withToken((sent) => upload(file, frame, sent, progress, signal, metadata));

/** What an image element can show of a local file: the file itself. */
export const shownFile = async (prediction, file) => file;

const pathOf = ({ id }, rest) => `predictions/${encodeURIComponent(id)}/${rest}`;
const png = async (path) => (await call(path, { headers: { Accept: "image/png" } })).blob();

/** The picture as the server has it, upright and in sRGB, while it has it; `side` bounds its longest side, pixels. */
export const pictureCopy = (prediction, file, side = 2048) => png(pathOf(prediction, `image.png?side=${side}`));

/** The heat map for a diagnosis alone, as PNG in the picture's shape. */
export const mapPicture = (prediction, code) => png(pathOf(prediction, `maps/${encodeURIComponent(code)}.png`));

/** Its raw values, as rows, with the part of the picture that they cover. */
export const mapValues = (prediction, code) => callJson(pathOf(prediction, `maps/${encodeURIComponent(code)}.json`));

/** Whether the server responds at all. */
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
  prompt ??= handlers.token(refused, problem).finally(() => (prompt = null));
  const given = await prompt;
  if (!given) throw problem;
  sessionStorage.setItem(TOKEN, given);
}

function upload(file, frame, sent, progress, signal, metadata) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const body = new FormData();
    for (const [name, value] of Object.entries(metadata)) body.append(name, value);
    body.append("file", file, file.name);
    request.open("POST", `${ROOT}predictions${frame ? `?frame=${frame}` : ""}`);
    request.responseType = "json"; // null where it is none
    request.timeout = RESPONSE_MS;
    for (const [name, value] of Object.entries({ Accept: "application/json", ...authorisation(sent) }))
      request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : 0);
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("taken back", "AbortError"));
    request.ontimeout = () => reject(tooLate());
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
  return new Problem({ key: "problem.unreachable" });
}

const tooLate = () => new Problem({ status: 408, key: "problem.too_late" });

/** What the server reported; of a proxy's HTML page, only the status. */
function problemOf(status, body, header) {
  const wait = Number(header("Retry-After"));
  return new Problem({
    status,
    ...(body?.title ? { title: body.title } : { key: "problem.no_details", values: { status } }),
    detail: typeof body?.detail === "string" ? body.detail : "",
    code: body?.code ?? "",
    requestId: body?.request_id ?? header("X-Request-ID") ?? "",
    retryAfter: header("Retry-After") !== null && Number.isFinite(wait) ? Math.max(1, wait) : null,
  });
}
