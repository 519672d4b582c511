// Extras of the check page; everything works without them: groups of four, one question for a double click, the camera.
"use strict";
(() => {
  const form = document.querySelector("form.ask");
  const field = document.getElementById("code");
  const submit = form.querySelector("button.main");
  const label = submit.textContent;
  const plain = /^[0-9０-９\s]*$/;

  const toAscii = (text) => text.replace(/[０-９]/g, (digit) => String.fromCharCode(digit.charCodeAt(0) - 0xfee0));
  const digitsOf = (text) => toAscii(text).replace(/\D/g, "");
  const grouped = (digits) => digits.replace(/(.{4})(?=.)/g, "$1 ");

  // Groups what is typed. The caret keeps its place among the digits; a pasted message is left for the server to read.
  function group() {
    const text = field.value;
    if (!plain.test(text)) return;
    const before = digitsOf(text.slice(0, field.selectionStart)).length;
    const shown = grouped(digitsOf(text));
    if (shown === text) return;
    field.value = shown;
    const caret = before + (before > 0 ? Math.floor((before - 1) / 4) : 0);
    if (document.activeElement === field) field.setSelectionRange(caret, caret);
  }
  field.addEventListener("input", (event) => { if (!event.isComposing) group(); });
  field.addEventListener("compositionend", group);

  // Deleting at the beginning of a group removes the digit before the space, not the space alone.
  field.addEventListener("keydown", (event) => {
    const at = field.selectionStart;
    if (at !== field.selectionEnd) return;
    if (event.key === "Backspace" && field.value[at - 1] === " ") field.setSelectionRange(at - 1, at - 1);
    if (event.key === "Delete" && field.value[at] === " ") field.setSelectionRange(at + 1, at + 1);
  });

  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) { event.preventDefault(); return; }
    sent = true;
    submit.setAttribute("aria-disabled", "true");
    submit.textContent = form.dataset.busy;
  });
  window.addEventListener("pageshow", () => {
    sent = false;
    submit.removeAttribute("aria-disabled");
    submit.textContent = label;
  });

  // Fills in the code of what was scanned: an address of a label (/q/ or Digital Link 21) or the digits alone.
  window.yanzhenFill = (text) => {
    const found = /\/(?:q|21)\/(\d{6,64})(?:$|[?#/])/.exec(text) || /^\s*(\d[\d\s]{5,80})\s*$/.exec(text);
    if (!found) return false;
    const digits = digitsOf(found[1]);
    field.value = grouped(digits);
    form.elements.entry.value = "scanned";
    form.elements.scanned.value = digits;
    submit.focus();
    return true;
  };

  const scan = document.getElementById("scan");
  scan.addEventListener("click", () => {
    if (window.yanzhenScan) { window.yanzhenScan(); return; }
    const script = document.createElement("script");
    script.src = scan.dataset.script;
    script.onload = () => window.yanzhenScan();
    document.head.append(script);
  });
  if (navigator.mediaDevices && navigator.mediaDevices.getUserMedia && window.WebAssembly) {
    // The reader is optional at set-up; where it is not there, the button does not appear for it.
    fetch(scan.dataset.reader, { method: "HEAD" }).then((answer) => { if (answer.ok) scan.hidden = false; }, () => {});
  }
})();
