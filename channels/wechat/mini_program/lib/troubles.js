// A kind sentence for what kept an answer away. None of it says anything about the product.

const { words } = require("./locale");
const { NoAnswer } = require("./transport");
const { SignInFailed } = require("./session");

/** The notice {icon, headline, lead} for an error. */
function ofError(error) {
  const { notice } = words();
  if (error instanceof NoAnswer) return { icon: "cloud", ...notice.offline };
  if (error instanceof SignInFailed) return { icon: "cloud", ...notice.sign_in };
  return { icon: "cloud", ...notice.trouble };
}

/** The notice for a problem document of the service (RFC 9457), whose detail is in the reader's language if it is an outcome. */
function ofProblem({ outcome, detail }) {
  const { notice } = words();
  if (outcome === "throttled") return { icon: "pause", headline: notice.throttled.headline, lead: detail };
  if (outcome === "unavailable") return { icon: "cloud", headline: notice.unavailable.headline, lead: detail };
  return { icon: "cloud", ...notice.trouble };
}

module.exports = { ofError, ofProblem };
