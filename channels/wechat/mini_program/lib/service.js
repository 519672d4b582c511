// What else the service is asked: own checks, to tell of a recall, to take a report.

const session = require("./session");

const HISTORY_LENGTH = 50;

/** The caller's own checks, the newest first; resolves to {status, body}. */
const history = (locale) =>
  session.ask({
    method: "GET",
    path: `/api/v1/wechat/verifications?limit=${HISTORY_LENGTH}&locale=${locale}`,
    headers: { "accept-language": locale },
  });

/** To be told, once, if the batch of a checked label is recalled. */
const watchRecall = (result, locale) =>
  session.ask({ method: "POST", path: "/api/v1/wechat/recall-watches", body: { result, locale } });

/** Something suspicious, about a check or (result "") about none. */
const report = (result, text, locale) =>
  session.ask({ method: "POST", path: "/api/v1/wechat/reports", body: { result: result || null, text, locale } });

module.exports = { history, watchRecall, report };
