// A failure that a person is told about.

/** A failure as in RFC 9457 problem details; status 0: no response at all. `local`: this page itself refuses, for good. */
export class Problem extends Error {
  constructor({ status = 0, title, detail = "", code = "", requestId = "", retryAfter = null, local = false }) {
    super(title);
    Object.assign(this, { status, title, detail, code, requestId, retryAfter, local });
  }
}
