// On the page of a visitor over a limit: pressing Check before the wait is over works for the answer instead.
// Without this script, or without what it needs, the form simply waits for its time.
"use strict";
(() => {
  const form = document.querySelector("form.ask");
  const status = document.getElementById("proof-status");
  const words = form.dataset;
  const over = performance.now() + Number(words.wait) * 1000;
  if (!(window.isSecureContext && window.Worker && window.crypto && crypto.subtle)) return;
  document.getElementById("proof").hidden = false;
  let working = false;

  function solve(challenge) {
    return new Promise((resolve, reject) => {
      const worker = new Worker(words.worker);
      const begun = performance.now();
      const timer = setInterval(() => {
        const seconds = Math.round((performance.now() - begun) / 1000);
        status.textContent = words.still.replace("{seconds}", seconds);
        if (seconds > 300) end(reject, new Error("too long"));
      }, 5000);
      const end = (settle, value) => { clearInterval(timer); worker.terminate(); settle(value); };
      worker.onmessage = (event) => end(resolve, event.data);
      worker.onerror = (event) => end(reject, event);
      worker.postMessage(challenge.parameters);
    });
  }

  async function work() {
    const answer = await fetch(words.challenge, { cache: "no-store" });
    if (!answer.ok) throw new Error("no challenge");
    const challenge = await answer.json();
    return btoa(JSON.stringify({ challenge, solution: await solve(challenge) }));
  }

  // Heard before the page's own listener, which would call the first press the only one.
  document.addEventListener("submit", (event) => {
    if (event.target !== form || form.elements.proof.value || performance.now() >= over) return;
    event.preventDefault();
    event.stopPropagation();
    if (working) return;
    working = true;
    const button = form.querySelector("button.main");
    button.setAttribute("aria-disabled", "true");
    status.textContent = words.working;
    work().then((solved) => {
      form.elements.proof.value = solved;
      status.textContent = words.solved;
      form.requestSubmit(button);
    }, () => {
      status.textContent = words.failed;
      button.removeAttribute("aria-disabled");
    }).finally(() => { working = false; });
  }, true);
  // Work is good once: who comes back to this page with the back button begins anew.
  window.addEventListener("pageshow", () => { form.elements.proof.value = ""; status.textContent = ""; });
})();
