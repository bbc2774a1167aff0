// A failure that a person is told about.

/**
 * A failure as in RFC 9457 problem details; status 0: no response at all. `local`: this page itself refuses, for good. The
 * page's own failures name their texts by `key` (title, and `key.detail`) and `values`; those of a server bring title and detail.
 */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "", code = "", requestId = "", retryAfter = null, local = false, key = "", values = {} }) {
    super(title || key);
    Object.assign(this, { status, title, detail, code, requestId, retryAfter, local, key, values });
  }
}
