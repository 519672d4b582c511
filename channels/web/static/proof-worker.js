// Solves a challenge of ALTCHA's second version: which counter makes PBKDF2 of nonce and counter begin with the prefix?
"use strict";
const AT_ONCE = 8; // tries under way together, so that the browser's threads are never idle

const bytesOf = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

async function derive(parameters, nonce, salt, counter) {
  const password = new Uint8Array(nonce.length + 4);
  password.set(nonce);
  new DataView(password.buffer).setUint32(nonce.length, counter);
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const rule = { name: "PBKDF2", hash: parameters.algorithm.split("/")[1], salt, iterations: parameters.cost };
  return hexOf(new Uint8Array(await crypto.subtle.deriveBits(rule, key, parameters.keyLength * 8)));
}

onmessage = async ({ data: parameters }) => {
  const nonce = bytesOf(parameters.nonce);
  const salt = bytesOf(parameters.salt);
  let next = 0;
  let found = null;
  async function search() {
    while (!found) {
      const counter = next++;
      const derivedKey = await derive(parameters, nonce, salt, counter);
      if (derivedKey.startsWith(parameters.keyPrefix)) found = { counter, derivedKey };
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, search));
  postMessage(found);
};
