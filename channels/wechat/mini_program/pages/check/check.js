// The first page: digits typed or scanned, and one tap that asks. Opening it, however it is opened, asks nothing.

const answers = require("../../lib/answers");
const codes = require("../../lib/codes");
const locale = require("../../lib/locale");
const question = require("../../lib/question");
const share = require("../../lib/share");
const troubles = require("../../lib/troubles");

Component({
  data: {
    w: {},
    text: "", // the field, digits in groups
    filled: false, // opened with digits from a printed code, which nobody has changed yet
    busy: false,
    retry: false, // the last question got no answer; the button asks the same again
    status: "", // a line about scanning or an empty field
    notice: null, // {icon, headline, lead, next, typed}: what the last question led to, where it was no answer
  },

  methods: {
    onLoad(query) {
      this.scanned = codes.openedWith(query);
      this.setData({ text: codes.grouped(this.scanned), filled: this.scanned !== "" });
    },

    onShow() {
      this.showWords();
    },

    showWords() {
      const w = locale.words();
      this.setData({ w });
      wx.setNavigationBarTitle({ title: w.check.title });
    },

    changeLanguage() {
      locale.change();
      this.setData({ notice: null, status: "" });
      this.showWords();
    },

    onInput({ detail }) {
      const shown = codes.regroup(detail.value, detail.cursor === undefined ? detail.value.length : detail.cursor);
      const same = codes.digitsOf(shown.value) === codes.digitsOf(this.data.text);
      this.setData({ text: shown.value, status: "", filled: this.data.filled && same, retry: this.data.retry && same });
      return shown;
    },

    scan() {
      const w = locale.words().check;
      wx.scanCode({
        scanType: ["qrCode", "datamatrix"],
        success: ({ result }) => {
          const digits = codes.scannedDigits(result);
          if (!digits) {
            this.setData({ status: w.scanned_other });
            return;
          }
          this.scanned = digits;
          this.setData({ text: codes.grouped(digits), filled: true, retry: false, status: "", notice: null });
        },
        fail: ({ errMsg }) => {
          if (/cancel/.test(errMsg)) return;
          this.setData({ status: /auth|authorize|permission/.test(errMsg) ? w.scan_refused : w.scan_failed });
        },
      });
    },

    async ask() {
      if (this.data.busy) return;
      const { text } = this.data;
      if (!text.trim()) {
        this.setData({ status: locale.words().check.empty });
        return;
      }
      const digits = codes.digitsOf(text);
      const entry = digits === this.scanned ? "scanned" : "typed";
      this.setData({ busy: true, status: "", notice: null });
      try {
        this.show(await question.ask({ text, entry, locale: locale.current() }), digits);
      } catch (error) {
        this.showTrouble(troubles.ofError(error));
      }
      this.setData({ busy: false });
    },

    show({ status, body }, digits) {
      if (status !== 200) {
        this.showTrouble(troubles.ofProblem(body));
        return;
      }
      if (body.outcome === "mistyped") {
        this.showSlip(body, digits);
        return;
      }
      answers.keep(body);
      this.scanned = "";
      this.setData({ text: "", filled: false, retry: false });
      wx.navigateTo({ url: "/pages/result/result" });
    },

    showSlip({ headline, lead, next_step: next, slip_position: positions }, digits) {
      const typed = positions && positions.length > 0 ? codes.marked(digits, positions) : null;
      this.setData({ retry: false, notice: { icon: "pencil", headline, lead, next, typed } });
    },

    showTrouble(notice) {
      this.setData({ retry: true, notice: { ...notice, next: locale.words().check.kept } });
    },

    openHistory() {
      wx.navigateTo({ url: "/pages/history/history" });
    },

    openReport() {
      wx.navigateTo({ url: "/pages/report/report" });
    },

    onShareAppMessage: () => share.card(),
  },
});
