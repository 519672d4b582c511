// Inside WeChat: its own scanner on the check page, and for whoever shares a page a card that tells of no answer.
"use strict";
(() => {
  const { library: address, signer, title, text, picture } = document.currentScript.dataset;
  const scan = document.getElementById("scan");
  const interfaces = ["scanQRCode", "updateAppMessageShareData", "updateTimelineShareData"];

  // The library is a CommonJS module and is served as it was published, so it is given a module to put itself into.
  function loadLibrary() {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      window.module = {};
      script.src = address;
      script.onload = () => { resolve(window.module.exports); delete window.module; };
      script.onerror = () => { reject(); delete window.module; };
      document.head.append(script);
    });
  }

  async function fetchSignature() {
    const page = location.href.split("#")[0];
    const answer = await fetch(`${signer}?url=${encodeURIComponent(page)}`);
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  }

  // One tap reads, as the camera does; asking takes one more.
  function offerScanner(wechat) {
    const status = document.getElementById("scan-status");
    window.yanzhenScan = () => {
      status.textContent = "";
      wechat.scanQRCode({
        needResult: 1,
        scanType: ["qrCode"],
        success: (read) => {
          const filled = window.yanzhenFill(read.resultStr || "");
          status.textContent = filled ? scan.dataset.found : scan.dataset.other;
        },
        fail: () => {
          delete window.yanzhenScan; // the next tap tries the camera of the page
          status.textContent = scan.dataset.failed;
        },
      });
    };
    scan.hidden = false;
  }

  function offerCard(wechat) {
    const card = { title, link: new URL("/", location.href).href, imgUrl: new URL(picture, location.href).href };
    wechat.updateAppMessageShareData({ ...card, desc: text });
    wechat.updateTimelineShareData(card);
  }

  Promise.all([loadLibrary(), fetchSignature()]).then(([wechat, signature]) => {
    // The library would report each page's address to another host, once it knows the kind of network.
    wechat.getNetworkType = () => {};
    let refused = false;
    wechat.error(() => { refused = true; });
    wechat.ready(() => {
      if (refused) return; // it is ready all the same
      if (scan) offerScanner(wechat);
      offerCard(wechat);
    });
    wechat.config({ ...signature, jsApiList: interfaces });
  }).catch(() => {}); // the page is whole without
})();
