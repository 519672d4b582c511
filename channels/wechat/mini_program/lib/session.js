// Who asks: the platform's login code is exchanged for a token of the service. Held in memory only, and asked for only
// when something must be asked, never on opening.

const { NoAnswer, send } = require("./transport");

const SAFETY_S = 60;

class SignInFailed extends Error {}

let session = null;
let signingIn = null;
let template = "";

const loginCode = () =>
  new Promise((resolve, reject) => {
    wx.login({
      success: ({ code }) => (code ? resolve(code) : reject(new SignInFailed("no code"))),
      fail: ({ errMsg }) => reject(new NoAnswer(errMsg)),
    });
  });

async function signIn() {
  const code = await loginCode();
  const { status, body } = await send({
    method: "POST",
    path: "/api/v1/wechat/session",
    body: { code, app_id: wx.getAccountInfoSync().miniProgram.appId },
  });
  if (status !== 200) throw new SignInFailed(`status ${status}`);
  template = body.recall_template || "";
  session = {
    token: body.token,
    endsAt: Date.now() + (body.expires_in - SAFETY_S) * 1000,
  };
  return session;
}

/** The session in force, or a new one. Requests that need one at the same time share it. */
function open() {
  if (session && Date.now() < session.endsAt) return Promise.resolve(session);
  if (!signingIn) {
    const done = () => (signingIn = null);
    signingIn = signIn();
    signingIn.then(done, done);
  }
  return signingIn;
}

/** Ask the service in the caller's name. A refused token is replaced once; the repeated request is the same in all else. */
async function ask(request) {
  const used = await open();
  const answer = await send(signed(request, used));
  if (answer.status !== 401) return answer;
  if (session === used) session = null;
  const renewed = await send(signed(request, await open()));
  if (renewed.status === 401) throw new SignInFailed("refused twice");
  return renewed;
}

const signed = (request, { token }) => ({
  ...request,
  headers: { ...request.headers, authorization: `Bearer ${token}` },
});

/** The subscribe message's template where recalls can be told, else "". Known once somebody has asked. */
const recallTemplate = () => template;

module.exports = { SignInFailed, ask, recallTemplate };
