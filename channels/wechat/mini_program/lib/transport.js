// One request to the service as a promise. Rejects only when no answer came; every status is an answer.

const { server, patienceMs } = require("../config");

class NoAnswer extends Error {}

/** Resolves to {status, body}; rejects with NoAnswer. `headers` are sent as they are. */
function send({ method, path, body, headers }) {
  return new Promise((resolve, reject) => {
    wx.request({
      url: server + path,
      method,
      data: body,
      header: { "content-type": "application/json", ...headers },
      timeout: patienceMs,
      success: ({ statusCode, data }) => resolve({ status: statusCode, body: data }),
      fail: ({ errMsg }) => reject(new NoAnswer(errMsg)),
    });
  });
}

module.exports = { NoAnswer, send };
