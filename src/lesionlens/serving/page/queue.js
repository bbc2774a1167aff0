// The images of this session and how far each one is. A few are sent at a time; when the server is full
// (503) or this token has used up its rate (429), all wait as long as the server asks.

import { sendImage } from "./api.js";
import { bytes, nameOf } from "./format.js";
import { t } from "./language.js";
import { Problem } from "./problem.js";

const AT_ONCE = 2;
const RATE_WAIT = 5; // seconds, where a 429 does not say

/**
 * States: `waiting`, `sending` (share in `sent`), `computing` (on the server), `done` (`prediction`),
 * `failed` (`problem`), `gone` (the server could not be reached; waits for it).
 */
export class Queue extends EventTarget {
  items = [];
  limits = { upload_bytes: Infinity };
  #pausedUntil = 0;
  #timer = 0;
  #count = 0;

  /** Add images of one patient. The browser holds each File on disk; only its prediction is kept in memory. */
  add(files, frame = 0, metadata = {}) {
    const known = { frame, metadata, state: "waiting" };
    const added = [...files].map((file) => this.#item({ file, name: file.name || t("image.pasted"), ...known }));
    this.items.push(...added);
    this.#tell("added", added);
    this.#next();
    return added;
  }

  /** Put finished images in front that an earlier visit of this tab left; their files are gone. */
  restore(finished) {
    const added = finished.map((each) => this.#item({ ...each, name: each.prediction ? nameOf(each.prediction) : t("image.refused"), announced: each.state }));
    this.items.unshift(...added);
    if (added.length) this.#tell("added", added);
  }

  #item(known) {
    const item = { key: `item-${++this.#count}`, file: null, frame: 0, metadata: {}, sent: 0, prediction: null, problem: null };
    return Object.assign(item, known);
  }

  /** Forget one image; what the server has logged stays logged. */
  remove(item) {
    item.abort?.abort();
    this.items = this.items.filter((other) => other !== item);
    this.#tell("removed", item);
    this.#next();
  }

  /** Forget all images. */
  clear() {
    const removed = this.items;
    this.items = [];
    for (const item of removed) this.remove(item);
  }

  /** Send one image again, or all that did not reach the server. */
  retry(item = null) {
    for (const each of item ? [item] : this.items.filter((other) => other.state === "gone")) {
      each.problem = null;
      this.#become(each, "waiting");
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
    const free = Math.max(0, AT_ONCE - this.count("sending", "computing"));
    for (const item of this.items.filter(({ state }) => state === "waiting").slice(0, free)) this.#send(item);
  }

  #resume() {
    for (const item of this.items.filter(({ state }) => state === "waiting")) this.#become(item, "waiting");
    this.#next();
  }

  async #send(item) {
    item.sent = 0;
    item.abort = new AbortController();
    this.#become(item, "sending");
    try {
      await this.#check(item.file);
      const progress = (share) => this.#progress(item, share);
      item.prediction = await sendImage(item.file, item.frame, progress, item.abort.signal, item.metadata);
      this.#become(item, "done");
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(item, error);
    }
    this.#next();
  }

  /** Refuse what need not be sent for that: a file that is too large, a folder, a file that was moved. */
  async #check(file) {
    const most = this.limits.upload_bytes;
    if (file.size > most) {
      throw new Problem({ status: 413, key: "problem.file_too_large", values: { size: bytes(file.size, Math.ceil), most: bytes(most, Math.floor) } });
    }
    try {
      await file.slice(0, 16).arrayBuffer();
    } catch {
      throw new Problem({ key: "problem.file_unreadable", code: "local" });
    }
  }

  #progress(item, share) {
    item.sent = share;
    this.#become(item, share < 1 ? "sending" : "computing");
  }

  #failed(item, error) {
    item.problem = error;
    const wait = error.status === 503 ? error.retryAfter : error.status === 429 ? (error.retryAfter ?? RATE_WAIT) : null;
    if (wait) {
      this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + 1000 * wait);
      this.#become(item, "waiting");
    } else {
      const unreachable = error instanceof Problem && error.status === 0 && error.code !== "local" && !error.local;
      this.#become(item, unreachable ? "gone" : "failed");
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
