// Seals, opens and signs with npm's wechat-crypto, which is neither ours nor wechatpy's: {"token", "key", "app_id",
// "texts": [...], "envelopes": [{"encrypted", "timestamp", "nonce"}]} comes in on standard input, an answer to each
// goes out.
"use strict";
const Crypto = require("wechat-crypto");

const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const reference = new Crypto(asked.token, asked.key, asked.app_id);
process.stdout.write(
  JSON.stringify({
    sealed: asked.texts.map((text, number) => {
      const encrypted = reference.encrypt(text);
      const [timestamp, nonce] = [String(asked.sent_at), String(1000 + number)];
      return { encrypted, timestamp, nonce, signature: reference.getSignature(timestamp, nonce, encrypted) };
    }),
    opened: asked.envelopes.map((one) => {
      const { message, id } = reference.decrypt(one.encrypted);
      return { message, id, signature: reference.getSignature(one.timestamp, one.nonce, one.encrypted) };
    }),
  })
);
