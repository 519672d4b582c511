// The answer on its way from the check page to the result page. It is shown for ten minutes and never restored: after
// that it is the record of a past check, not an answer about the pack in somebody's hand.

const SHOWN_MS = 10 * 60 * 1000;

let latest = null;

/** Keep an answer as of now. */
const keep = (answer) => {
  latest = { answer, until: Date.now() + SHOWN_MS };
};

/** The latest answer as {answer, msLeft}, or null. `msLeft` is 0 once it has become a record. */
const find = () => latest && { answer: latest.answer, msLeft: Math.max(0, latest.until - Date.now()) };

module.exports = { SHOWN_MS, keep, find };
