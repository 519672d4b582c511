// One's own checks, all of them grey: what was answered then, never an answer about the pack in hand.

const locale = require("../../lib/locale");
const service = require("../../lib/service");
const share = require("../../lib/share");
const troubles = require("../../lib/troubles");

Component({
  data: {
    w: {},
    state: "loading", // loading, shown, failed
    records: [],
    trouble: null,
  },

  methods: {
    onLoad() {
      const w = locale.words();
      this.setData({ w });
      wx.setNavigationBarTitle({ title: w.history.title });
      return this.read();
    },

    async read() {
      this.setData({ state: "loading", trouble: null });
      try {
        const { status, body } = await service.history(locale.current());
        if (status === 200) this.setData({ state: "shown", records: body.records.map(rowOf) });
        else this.setData({ state: "failed", trouble: troubles.ofProblem(body) });
      } catch (error) {
        this.setData({ state: "failed", trouble: troubles.ofError(error) });
      }
    },

    report({ currentTarget }) {
      wx.navigateTo({ url: `/pages/report/report?result=${encodeURIComponent(currentTarget.dataset.result)}` });
    },

    onShareAppMessage: () => share.card(),
  },
});

function rowOf({ headline, recorded_at: recordedAt, product, result }) {
  const w = locale.words().history;
  return {
    result,
    product: product || w.unknown_product,
    at: locale.moment(recordedAt),
    told: locale.fill(w.told, { headline }),
  };
}
