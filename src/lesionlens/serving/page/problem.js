// A failure that a person is told about.

/** A failure as in RFC 9457 problem details; status 0: no response at all. */
export class Problem extends Error {
  constructor({ status = 0, title, detail = "", code = "", requestId = "", retryAfter = null }) {
    super(title);
    Object.assign(this, { status, title, detail, code, requestId, retryAfter });
  }
}
