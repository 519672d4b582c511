// A report of a suspicion, about a check (`result`) or about none. What is written stays until it has been taken.

const locale = require("../../lib/locale");
const service = require("../../lib/service");
const share = require("../../lib/share");
const troubles = require("../../lib/troubles");

const MOST_CHARACTERS = 500;

Component({
  data: {
    w: {},
    most: MOST_CHARACTERS,
    about: false,
    text: "",
    count: "",
    busy: false,
    done: false,
    status: "",
    trouble: null,
  },

  methods: {
    onLoad(query) {
      const w = locale.words();
      this.result = query.result ? decodeURIComponent(query.result) : "";
      this.setData({ w, about: this.result !== "" });
      this.setText("");
      wx.setNavigationBarTitle({ title: w.report.title });
    },

    onInput({ detail }) {
      this.setText(detail.value);
    },

    setText(text) {
      const count = locale.fill(locale.words().report.count, { used: text.length, most: MOST_CHARACTERS });
      this.setData({ text, count, status: "" });
    },

    async send() {
      if (this.data.busy) return;
      const { w } = this.data;
      const text = this.data.text.trim();
      if (!text) {
        this.setData({ status: w.report.empty });
        return;
      }
      this.setData({ busy: true, status: "", trouble: null });
      try {
        const { status, body } = await service.report(this.result, text, locale.current());
        if (status < 300) this.setData({ done: true });
        else this.setData({ trouble: troubles.ofProblem(body) });
      } catch (error) {
        this.setData({ trouble: troubles.ofError(error) });
      }
      this.setData({ busy: false });
    },

    back() {
      wx.navigateBack({ fail: () => wx.redirectTo({ url: "/pages/check/check" }) });
    },

    onShareAppMessage: () => share.card(),
  },
});
