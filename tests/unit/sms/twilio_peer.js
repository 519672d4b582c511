// Signs forms and writes TwiML with the provider's own Node library: {"signatures": [...], "checks": [...], "texts": [...]}
// comes in on standard input, an answer to each goes out.
"use strict";
const twilio = require("twilio");
const webhooks = require("twilio/lib/webhooks/webhooks");

const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const twiml = (text) => {
  const response = new twilio.twiml.MessagingResponse();
  if (text !== "") response.message(text);
  return response.toString();
};
process.stdout.write(
  JSON.stringify({
    signatures: asked.signatures.map((one) =>
      webhooks.getExpectedTwilioSignature(one.token, one.url, one.fields)
    ),
    checks: asked.checks.map((one) =>
      webhooks.validateRequest(one.token, one.signature, one.url, one.fields)
    ),
    texts: asked.texts.map(twiml),
  })
);
