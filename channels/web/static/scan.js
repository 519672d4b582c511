// The camera: reads the label's QR code in the page and fills in the field. Asking still takes one press of the button.
"use strict";
(() => {
  const scan = document.getElementById("scan");
  const status = document.getElementById("scan-status");
  const box = document.getElementById("camera");
  const words = scan.dataset;
  const longestLook = 60000;
  let stream = null;
  let reader = null;

  function loadReader() {
    reader ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = words.reader;
      script.onload = () => {
        window.ZXingWASM.prepareZXingModule({ overrides: { locateFile: () => words.wasm }, fireImmediately: true })
          .then(() => resolve(window.ZXingWASM), reject);
      };
      script.onerror = reject;
      document.head.append(script);
    });
    return reader;
  }

  function close(message) {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    box.hidden = true;
    box.replaceChildren();
    scan.hidden = false;
    status.textContent = message;
  }

  async function look(video, zxing) {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const until = performance.now() + longestLook;
    const mine = stream;
    while (stream === mine && performance.now() < until) {
      if (video.videoWidth > 0) {
        const scale = Math.min(1, 800 / video.videoWidth);
        canvas.width = Math.round(video.videoWidth * scale);
        canvas.height = Math.round(video.videoHeight * scale);
        context.drawImage(video, 0, 0, canvas.width, canvas.height);
        const picture = context.getImageData(0, 0, canvas.width, canvas.height);
        const codes = await zxing.readBarcodes(picture, { formats: ["QRCode", "DataMatrix"], maxNumberOfSymbols: 1 });
        if (stream !== mine) return;
        if (codes.length > 0) {
          if (window.yanzhenFill(codes[0].text)) { close(words.found); return; }
          status.textContent = words.other;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
    if (stream === mine) close(words.timeout);
  }

  window.yanzhenScan = async () => {
    if (stream) return;
    status.textContent = words.starting;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      close(error.name === "NotAllowedError" ? words.refused : words.failed);
      return;
    }
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.srcObject = stream;
    const stop = document.createElement("button");
    stop.type = "button";
    stop.className = "second";
    stop.textContent = words.stop;
    stop.addEventListener("click", () => { close(""); scan.focus(); });
    box.replaceChildren(video, stop);
    box.hidden = false;
    scan.hidden = true;
    stop.focus();
    try {
      const [zxing] = await Promise.all([loadReader(), video.play()]);
      if (!stream) return;
      status.textContent = words.aim;
      await look(video, zxing);
    } catch {
      reader = null;
      close(words.failed);
    }
  };
})();
