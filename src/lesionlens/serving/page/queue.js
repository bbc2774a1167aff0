// The images of this session and how far each one is. A few are sent at a time; when the server is
// full (503) or this token has had its share (429), all wait as long as it asks and then go on.

import { Problem, sendImage } from "./api.js";
import { bytes } from "./format.js";

const AT_ONCE = 2;
const RATE_WAIT = 5; // seconds, where a 429 does not say

/**
 * States: `waiting`, `sending` (share in `sent`), `reading` (the server computes), `done` (`answer`),
 * `failed` (`problem`), `gone` (the server could not be reached; waits for it).
 */
export class Queue extends EventTarget {
  items = [];
  limits = { upload_bytes: Infinity };
  #pausedUntil = 0;
  #timer = 0;
  #made = 0;

  /** Add images; each File is held by the browser on disk, only its answer is kept in memory. */
  add(files, frame = 0) {
    const added = [...files].map((file) => ({
      key: `item-${++this.#made}`,
      file,
      name: file.name || "pasted image",
      frame,
      state: "waiting",
      sent: 0,
      answer: null,
      problem: null,
    }));
    this.items.push(...added);
    this.#tell("added", added);
    this.#next();
    return added;
  }

  /** Forget one image; what the server recorded stays recorded. */
  remove(item) {
    item.abort?.abort();
    this.items = this.items.filter((other) => other !== item);
    this.#tell("removed", item);
    this.#next();
  }

  /** Forget all of them. */
  clear() {
    const gone = this.items;
    this.items = [];
    for (const item of gone) this.remove(item);
  }

  /** Send one image, or all that the server did not get, once more. */
  retry(item = null) {
    for (const one of item ? [item] : this.items.filter((other) => other.state === "gone")) {
      one.problem = null;
      this.#become(one, "waiting");
    }
    this.#next();
  }

  /** Seconds until the next image is sent; 0 when nothing holds it. */
  get pause() {
    return Math.max(0, Math.ceil((this.#pausedUntil - Date.now()) / 1000));
  }

  count(...states) {
    return this.items.filter((item) => states.includes(item.state)).length;
  }

  #next() {
    if (this.pause) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#resume(), this.#pausedUntil - Date.now() + 10);
      return;
    }
    let busy = this.count("sending", "reading");
    for (const item of this.items) {
      if (busy >= AT_ONCE) return;
      if (item.state !== "waiting") continue;
      busy += 1;
      this.#send(item);
    }
  }

  #resume() {
    for (const item of this.items.filter((other) => other.state === "waiting")) this.#become(item, "waiting");
    this.#next();
  }

  async #send(item) {
    item.sent = 0;
    item.abort = new AbortController();
    this.#become(item, "sending");
    try {
      await this.#check(item.file);
      item.answer = await sendImage(item.file, item.frame, (share) => this.#progress(item, share), item.abort.signal);
      this.#become(item, "done");
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(item, error);
    }
    this.#next();
  }

  /** What need not go over the wire to be refused: a file that is too large, a folder, a file that has moved. */
  async #check(file) {
    const most = this.limits.upload_bytes;
    if (file.size > most) {
      const rule = `this server takes at most ${bytes(most, Math.floor)}`;
      const detail = `It has ${bytes(file.size, Math.ceil)}; ${rule}. Save it smaller, or as JPEG.`;
      throw new Problem({ status: 413, title: "The file is too large", detail });
    }
    try {
      await file.slice(0, 16).arrayBuffer();
    } catch {
      throw new Problem({
        title: "The file cannot be read here",
        detail: "It is a folder, or it was moved or deleted. Choose it again.",
        code: "local",
      });
    }
  }

  #progress(item, share) {
    item.sent = share;
    this.#become(item, share < 1 ? "sending" : "reading");
  }

  #failed(item, error) {
    item.problem = error;
    const wait =
      error.status === 503 ? error.retryAfter : error.status === 429 ? (error.retryAfter ?? RATE_WAIT) : null;
    if (wait !== null && wait !== undefined) {
      this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + 1000 * wait);
      this.#become(item, "waiting");
    } else {
      this.#become(item, error instanceof Problem && error.status === 0 && error.code !== "local" ? "gone" : "failed");
    }
  }

  #become(item, state) {
    item.state = state;
    if (this.items.includes(item)) this.#tell("changed", item);
  }

  #tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }
}
