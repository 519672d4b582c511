// A question about one code. It keeps its Idempotency-Key until an answer is here, so that trying again after a lost
// reply is the same question and not a second check.

const session = require("./session");

const KEY_BYTES = 16;

let open = null;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const randomKey = () =>
  new Promise((resolve, reject) => {
    wx.getRandomValues({
      length: KEY_BYTES,
      success: ({ randomValues }) => resolve(hex(new Uint8Array(randomValues))),
      fail: ({ errMsg }) => reject(new Error(errMsg)),
    });
  });

/**
 * Ask about `text`, which came in as `entry` (typed or scanned), and resolve to {status, body}. Rejects where no answer
 * came; asking again then asks the same.
 */
async function ask({ text, entry, locale }) {
  if (!open || open.text !== text || open.entry !== entry) open = { text, entry, key: await randomKey() };
  const asked = open;
  const answer = await session.ask({
    method: "POST",
    path: "/api/v1/wechat/verifications",
    body: { code: text, entry, locale },
    headers: { "idempotency-key": asked.key },
  });
  if (answer.status === 200 && open === asked) open = null;
  return answer;
}

module.exports = { ask };
