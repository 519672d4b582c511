// How an answer looks: a tone (colour) and an icon (shape) for each; the words say the same again. The website's
// looks are the same (channels/web/looks.py).

const LOOKS = {
  first: { tone: "green", icon: "shield" },
  repeat_own: { tone: "teal", icon: "clock-person" },
  repeat: { tone: "amber", icon: "triangle", urgent: true },
  over_limit: { tone: "red", icon: "octagon-many", urgent: true },
  recalled: { tone: "red", icon: "octagon-return", urgent: true },
  voided: { tone: "red", icon: "octagon-cross", urgent: true },
  not_found: { tone: "brown", icon: "magnifier" },
  mistyped: { tone: "slate", icon: "pencil" },
  not_active: { tone: "slate", icon: "calendar", urgent: true },
  expired: { tone: "slate", icon: "hourglass" },
  throttled: { tone: "slate", icon: "pause" },
  unavailable: { tone: "slate", icon: "cloud" },
};
const DETAILED = {
  repeat_own: { just_recorded: LOOKS.first },
  repeat: { within_allowance: { tone: "teal", icon: "people" } },
};
const UNKNOWN = { tone: "slate", icon: "page" };

/** The look of an answer {outcome, reasons}: {tone, icon, urgent}. `urgent` makes the call the main button. */
function lookOf({ outcome, reasons }) {
  const finer = DETAILED[outcome] || {};
  const reason = (reasons || []).find((name) => finer[name]);
  return (reason && finer[reason]) || LOOKS[outcome] || UNKNOWN;
}

module.exports = { LOOKS, lookOf };
