// What WeChat's client puts into a page: the object that WeChat's library speaks to. Set by the test: how it answers.
(() => {
  const told = window.wechatClient;
  const answers = {
    preVerifyJSAPI: () => ({ err_msg: told.refuses ? "preVerifyJSAPI:fail_invalid signature" : "preVerifyJSAPI:ok" }),
    scanQRCode: () => {
      if (told.scan === "cancel") return { err_msg: "scanQRCode:cancel" };
      if (told.scan === "fail") return { err_msg: "scanQRCode:fail" };
      // iPhones wrap what was read once more
      const read = told.iphone ? JSON.stringify({ scan_code: { scan_result: told.scan } }) : told.scan;
      return { err_msg: "scanQRCode:ok", resultStr: read };
    },
    getNetworkType: () => ({ err_msg: "network_type:wifi" }),
    updateAppMessageShareData: () => ({ err_msg: "updateAppMessageShareData:ok" }),
    updateTimelineShareData: () => ({ err_msg: "updateTimelineShareData:ok" }),
  };
  const bridge = {
    invoke(name, given, callback) {
      told.calls.push([name, given]);
      const answer = answers[name];
      setTimeout(() => callback(answer ? answer() : { err_msg: `${name}:function_not_exist` }), 0);
    },
    on() {},
  };
  told.calls = [];
  if (!told.iphone) { window.WeixinJSBridge = bridge; return; }
  // on iPhones it comes after the page
  window.addEventListener("load", () => {
    window.WeixinJSBridge = bridge;
    document.dispatchEvent(new Event("WeixinJSBridgeReady"));
  });
})();
