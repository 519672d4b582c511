// A phone with WeChat and the mini-program on it: pages are rendered by WeChat's simulator, wx.request goes to the real
// service over loopback, and what the shopper, the camera or the platform would do is said by the test.

const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const path = require("path");

const simulator = require("miniprogram-simulate");

const ROOT = path.resolve(__dirname, "../../../../channels/wechat/mini_program");
const QUIET_TURNS = 3;
const MOST_TURNS = 20000;

/** What the outer test prepared: {server, codes, logins, recallTemplate}. */
const world = JSON.parse(process.env.YANZHEN_TEST_MINI_PROGRAM);

const used = { codes: {}, logins: {} };
const suites = fs.readdirSync(__dirname).filter((name) => name.endsWith(".test.js")).sort();

/** A prepared value that nobody has used yet; files run side by side, so each takes its own of every list. */
function fresh(kind, name) {
  const turnOf = suites.indexOf(path.basename(expect.getState().testPath));
  const at = (used[kind][name] || 0) * suites.length + turnOf;
  used[kind][name] = (used[kind][name] || 0) + 1;
  const value = world[kind][name][at];
  if (value === undefined) throw new Error(`no ${kind} left for ${name}`);
  return value;
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

class Phone {
  constructor(shopper, { language = "zh_CN" } = {}) {
    this.shopper = shopper;
    this.language = language;
    this.storage = {};
    this.loaded = {}; // a page is loaded once, as by WeChat, and rendered as often as it is opened
    this.pages = []; // {path, component}, the last is shown
    this.requests = []; // {method, path, header, data, status}
    this.calls = []; // numbers dialled
    this.asked = []; // subscribe messages the platform asked about
    this.consent = "accept";
    this.camera = null; // {result} or {errMsg}
    this.online = true;
    this.loseNextReply = false;
    this.alterToken = (token) => token;
    this.title = "";
    this.pending = 0;
    this.logins = 0;
    jest.resetModules();
    document.body.innerHTML = "";
    global.wx = this.platform();
    global.getApp = () => this.app;
    global.App = (definition) => (this.app = definition);
    require(path.join(ROOT, "config.js")).server = world.server;
    require(path.join(ROOT, "app.js"));
  }

  platform() {
    const open = (how) => ({ url, fail }) => this.go(how, url, fail);
    return {
      request: (options) => this.request(options),
      login: ({ success, fail }) => this.login(success, fail),
      scanCode: ({ success, fail }) => (this.camera.result === undefined ? fail : success)(this.camera),
      requestSubscribeMessage: ({ tmplIds, success }) => {
        this.asked.push(...tmplIds);
        success({ errMsg: "requestSubscribeMessage:ok", [tmplIds[0]]: this.consent });
      },
      makePhoneCall: ({ phoneNumber }) => this.calls.push(phoneNumber),
      getRandomValues: ({ length, success }) => success({ randomValues: Uint8Array.from(crypto.randomBytes(length)).buffer }),
      getAccountInfoSync: () => ({ miniProgram: { appId: world.appId } }),
      getAppBaseInfo: () => ({ language: this.language }),
      getStorageSync: (key) => this.storage[key] || "",
      setStorageSync: (key, value) => (this.storage[key] = value),
      setNavigationBarTitle: ({ title }) => (this.title = title),
      navigateTo: open("push"),
      redirectTo: open("replace"),
      navigateBack: ({ fail } = {}) => this.back(fail),
    };
  }

  // -- pages

  go(how, url, fail) {
    if (!this.exists(url)) {
      fail({ errMsg: "page is not found" });
      return;
    }
    if (how === "replace" && this.shown) this.leave();
    else if (this.shown) this.lifetime("onHide");
    this.enter(url);
  }

  exists(url) {
    const { pages } = JSON.parse(fs.readFileSync(path.join(ROOT, "app.json"), "utf8"));
    return pages.includes(url.split("?")[0].replace(/^\//, ""));
  }

  /** Open the mini-program at an address, as WeChat does for a scanned link or a shared card. */
  async open(url = "/pages/check/check") {
    while (this.shown) this.leave();
    if (this.exists(url)) this.enter(url);
    else this.app.onPageNotFound({ path: url });
    await this.settled();
    return this;
  }

  enter(url) {
    const [where, query = ""] = url.split("?");
    this.loaded[where] ||= simulator.load(path.join(ROOT, where), "page", { rootPath: ROOT });
    const component = simulator.render(this.loaded[where]);
    component.attach(document.body);
    this.pages.push({ path: where, component });
    // the platform hands values over as they stand in the address
    const values = query.split("&").filter(Boolean).map((pair) => pair.split("="));
    component.instance.onLoad(Object.fromEntries(values));
    if (this.shown && this.shown.component === component) this.lifetime("onShow");
  }

  leave() {
    this.lifetime("onUnload");
    this.pages.pop().component.detach();
  }

  back(fail) {
    if (this.pages.length < 2) {
      fail({ errMsg: "navigateBack:fail cannot navigate back at first page" });
      return;
    }
    this.leave();
    this.lifetime("onShow");
  }

  /** WeChat goes to the back and, `ms` later, comes to the front again. */
  async putAway(ms) {
    this.lifetime("onHide");
    const now = Date.now() + ms;
    jest.spyOn(Date, "now").mockImplementation(() => now);
    this.lifetime("onShow");
    await this.settled();
  }

  lifetime(name) {
    const { instance } = this.shown.component;
    if (instance[name]) instance[name]();
  }

  get shown() {
    return this.pages[this.pages.length - 1];
  }

  get path() {
    return this.shown.path;
  }

  get data() {
    return this.shown.component.data;
  }

  get text() {
    return this.shown.component.dom.textContent.replace(/\s+/g, " ");
  }

  find(selector) {
    return this.shown.component.querySelector(selector);
  }

  all(selector) {
    return this.shown.component.querySelectorAll(selector);
  }

  textOf(selector) {
    return this.find(selector).dom.textContent.replace(/\s+/g, " ").trim();
  }

  /** What would be sent on if the shopper passed this page on. */
  share() {
    return this.shown.component.instance.onShareAppMessage({ from: "menu" });
  }

  // -- the shopper

  async tap(selector) {
    const found = this.find(selector);
    if (!found) throw new Error(`nothing to tap: ${selector} on ${this.path}: ${this.text}`);
    found.dispatchEvent("tap");
    await this.settled();
  }

  async type(selector, value) {
    this.find(selector).dispatchEvent("input", { detail: { value, cursor: value.length } });
    await this.settled();
  }

  /** Type a code and ask. */
  async ask(code) {
    await this.type(".code", code);
    await this.tap(".main");
  }

  async scan(camera) {
    this.camera = camera;
    await this.tap(".scan");
  }

  // -- the platform and the network

  login(success, fail) {
    if (!this.online) {
      fail({ errMsg: "login:fail timeout" });
      return;
    }
    this.logins += 1;
    success({ code: fresh("logins", this.shopper), errMsg: "login:ok" });
  }

  request({ url, method, data, header, success, fail }) {
    if (!this.online) {
      fail({ errMsg: "request:fail " });
      return;
    }
    const lost = this.loseNextReply && method === "POST" && url.endsWith("/verifications");
    if (lost) this.loseNextReply = false;
    const headers = { ...header };
    if (headers.authorization) headers.authorization = this.alterToken(headers.authorization);
    const noted = { method, path: url.slice(world.server.length), header: headers, data };
    this.requests.push(noted);
    this.pending += 1;
    const done = (tell) => {
      this.pending -= 1;
      tell();
    };
    const sent = http.request(url, { method, headers, agent: false }, (answer) => {
      const parts = [];
      answer.setEncoding("utf8");
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        noted.status = answer.statusCode;
        noted.body = parsed(parts.join(""));
        if (lost) done(() => fail({ errMsg: "request:fail timeout" }));
        else done(() => success({ statusCode: answer.statusCode, data: noted.body, header: answer.headers, errMsg: "request:ok" }));
      });
    });
    sent.on("error", (error) => done(() => fail({ errMsg: `request:fail ${error.code}` })));
    sent.end(data === undefined ? undefined : JSON.stringify(data));
  }

  /** Wait until nothing is under way: no request, and a few turns of the loop without one. */
  async settled() {
    let quiet = 0;
    for (let turns = 0; quiet < QUIET_TURNS; turns += 1) {
      if (turns > MOST_TURNS) throw new Error("the page does not come to rest");
      await turn();
      quiet = this.pending === 0 ? quiet + 1 : 0;
    }
  }

  sent(method, ending) {
    return this.requests.filter((one) => one.method === method && one.path.split("?")[0].endsWith(ending));
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return text;
  }
}

/** Forget what a test changed about the world. */
function restore() {
  jest.restoreAllMocks();
  jest.useRealTimers();
}

module.exports = { Phone, ROOT, fresh, restore, world };
