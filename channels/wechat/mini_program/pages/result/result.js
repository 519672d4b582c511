// The answer, while it is one: for ten minutes after it came. Then the same page is the grey record of a past check.

const answers = require("../../lib/answers");
const locale = require("../../lib/locale");
const { lookOf } = require("../../lib/looks");
const service = require("../../lib/service");
const session = require("../../lib/session");
const share = require("../../lib/share");
const troubles = require("../../lib/troubles");

const NEVER_RECALLED = ["recalled", "voided"];

Component({
  data: {
    w: {},
    answer: null,
    look: {},
    past: false, // grey: no longer an answer about the pack in hand
    pastLead: "",
    programme: "",
    recall: "", // "" not offered, else offered, done
    recallStatus: "",
  },

  methods: {
    onLoad() {
      const w = locale.words();
      const found = answers.find();
      if (!found) {
        wx.redirectTo({ url: "/pages/check/check" });
        return;
      }
      const { answer } = found;
      this.setData({
        w,
        answer,
        look: lookOf(answer),
        programme: answer.programme ? locale.fill(w.result.programme, { name: answer.programme }) : "",
        recall: mayWatch(answer) ? "offered" : "",
      });
      this.shownUntil = Date.now() + found.msLeft;
    },

    // Also when WeChat comes back to the front: its timers may have slept.
    onShow() {
      if (!this.data.answer) return;
      this.stopClock();
      const left = this.shownUntil - Date.now();
      if (left > 0) {
        wx.setNavigationBarTitle({ title: this.data.w.result.title });
        this.clock = setTimeout(() => this.turnGrey(), left);
      } else {
        this.turnGrey();
      }
    },

    onHide() {
      this.stopClock();
    },

    onUnload() {
      this.stopClock();
    },

    stopClock() {
      clearTimeout(this.clock);
    },

    turnGrey() {
      const { w, answer } = this.data;
      const recorded = answer.recorded_at && locale.moment(answer.recorded_at);
      const pastLead = recorded ? locale.fill(w.record.lead, { recorded }) : w.record.lead_unrecorded;
      this.setData({ past: true, pastLead, look: { tone: "grey", icon: "page" }, recall: "" });
      wx.setNavigationBarTitle({ title: w.record.title });
    },

    call() {
      wx.makePhoneCall({ phoneNumber: this.data.answer.service_line, fail: () => {} });
    },

    // One consent, one notice: the platform asks the shopper, and only a yes is sent on.
    watchRecall() {
      const template = session.recallTemplate();
      const { w, answer } = this.data;
      wx.requestSubscribeMessage({
        tmplIds: [template],
        success: async ({ [template]: consent }) => {
          if (consent !== "accept") {
            this.setData({ recallStatus: w.result.recall_declined });
            return;
          }
          try {
            const { status } = await service.watchRecall(answer.result, locale.current());
            if (status === 204) this.setData({ recall: "done", recallStatus: w.result.recall_done });
            else this.setData({ recallStatus: w.result.recall_unknown });
          } catch (error) {
            this.setData({ recallStatus: troubles.ofError(error).lead });
          }
        },
        fail: () => this.setData({ recallStatus: w.result.recall_declined }),
      });
    },

    report() {
      wx.navigateTo({ url: `/pages/report/report?result=${encodeURIComponent(this.data.answer.result || "")}` });
    },

    again() {
      wx.navigateBack({ fail: () => wx.redirectTo({ url: "/pages/check/check" }) });
    },

    onShareAppMessage: () => share.card(),
  },
});

const mayWatch = ({ result, product, outcome }) =>
  Boolean(session.recallTemplate() && result && product && !NEVER_RECALLED.includes(outcome));
