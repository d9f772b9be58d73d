// @ts-check
/** The scopes that an API key can have, in the order in which they are shown. */
export const SCOPES = /** @type {const} */ (["learners:read", "learners:write", "learners:bulk", "access:check", "events:read", "admin"]);

/** @typedef {typeof SCOPES[number]} Scope */
