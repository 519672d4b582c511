// The card that is passed on: an invitation to check, never an answer. A picture of its own, because the platform
// otherwise takes one of the page, verdict and all.

const { words } = require("./locale");

/** What every page's onShareAppMessage returns. */
const card = () => ({
  title: words().share.title,
  path: "/pages/check/check",
  imageUrl: "/images/share.png",
});

module.exports = { card };
