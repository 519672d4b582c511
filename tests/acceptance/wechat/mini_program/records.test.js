const { Phone, fresh, restore, world } = require("./phone");

afterEach(restore);

const TEN_MINUTES_MS = 10 * 60 * 1000;

test("own checks are grey records and never answers", async () => {
  const phone = await new Phone("fay").open();
  await phone.tap(".history");
  expect(phone.text).toContain("还没有查询记录");
  phone.back();
  await phone.ask(fresh("codes", "first"));
  await phone.tap(".again");
  await phone.ask(fresh("codes", "first"));
  await phone.tap(".again");
  await phone.tap(".history");
  expect(phone.text).toContain("不是您手中产品的结论");
  expect(phone.all(".record.tone-grey")).toHaveLength(2);
  expect(phone.textOf(".record-product")).toBe(world.product);
  expect(phone.textOf(".record-told")).toContain("当时的答复：");
  expect(phone.textOf(".record-at")).toMatch(/^\d{4}年\d{1,2}月\d{1,2}日 \d\d:\d\d$/);
  expect(phone.find(".tone-green")).toBeFalsy();
});

test("nobody reads the checks of others", async () => {
  await (await new Phone("ann").open()).ask(fresh("codes", "first"));
  const phone = await new Phone("gus").open("/pages/history/history");
  expect(phone.all(".record")).toHaveLength(0);
});

test("a history that cannot be read can be tried again", async () => {
  const phone = await new Phone("fay").open();
  phone.online = false;
  await phone.tap(".history");
  expect(phone.text).toContain("网络不通");
  phone.online = true;
  await phone.tap(".retry");
  expect(phone.find(".notice")).toBeFalsy();
});

test("after ten minutes the green page is a grey record, also when WeChat slept meanwhile", async () => {
  const phone = await new Phone("hal").open();
  await phone.ask(fresh("codes", "first"));
  await phone.putAway(TEN_MINUTES_MS - 1000);
  expect(phone.find(".answer.tone-green")).toBeTruthy();
  await phone.putAway(2000);
  expect(phone.find(".answer.tone-grey")).toBeTruthy();
  expect(phone.text).toContain("不是您手中产品的结论");
  expect(phone.text).toContain("当时的答复");
  expect(phone.title).toBe("查询记录");
  expect([phone.find(".call"), phone.find(".recall"), phone.find(".look")]).toEqual([undefined, undefined, undefined]);
});

test("a page left open turns grey by itself", async () => {
  const phone = await new Phone("hal").open();
  await phone.ask(fresh("codes", "first"));
  phone.lifetime("onHide");
  jest.useFakeTimers();
  phone.lifetime("onShow");
  jest.advanceTimersByTime(TEN_MINUTES_MS);
  expect(phone.data.past).toBe(true);
});

test("an answer is not there for who opens its page another way", async () => {
  const phone = await new Phone("hal").open("/pages/result/result");
  expect(phone.path).toBe("/pages/check/check");
  expect(phone.requests).toEqual([]);
});

test("no share card holds an answer, a code or a picture of the page", async () => {
  const code = fresh("codes", "first");
  const phone = await new Phone("hal").open();
  const neutral = { title: "查一查手中的产品，一物一码", path: "/pages/check/check", imageUrl: "/images/share.png" };
  expect(phone.share()).toEqual(neutral);
  await phone.ask(code);
  expect(phone.share()).toEqual(neutral);
  await phone.tap(".report");
  expect(phone.share()).toEqual(neutral);
  await phone.open("/pages/history/history");
  expect(phone.share()).toEqual(neutral);
});

test("a recall is told once, after one consent", async () => {
  const phone = await new Phone("ida").open();
  await phone.ask(fresh("codes", "first"));
  phone.consent = "reject";
  await phone.tap(".recall");
  expect(phone.textOf(".recall-status")).toContain("没有开启通知");
  expect(phone.sent("POST", "/recall-watches")).toEqual([]);
  phone.consent = "accept";
  await phone.tap(".recall");
  expect(phone.asked).toEqual([world.recallTemplate, world.recallTemplate]);
  expect(phone.sent("POST", "/recall-watches").map(({ status }) => status)).toEqual([204]);
  expect(phone.textOf(".recall-status")).toContain("会通知您一次");
  expect(phone.find(".second.recall")).toBeFalsy();
});

test("a suspicion is written down and sent with the check it is about", async () => {
  const phone = await new Phone("jon").open();
  await phone.ask(fresh("codes", "first"));
  const { result } = phone.data.answer;
  await phone.tap(".report");
  expect(phone.text).toContain("附在您的那次查询上");
  await phone.tap(".send");
  expect(phone.textOf(".status")).toBe("请先写下您看到的情况。");
  await phone.type(".words", "标签像是揭开重贴过");
  expect(phone.textOf(".count")).toBe("9/500 字");
  phone.online = false;
  await phone.tap(".send");
  expect(phone.text).toContain("您写的还在");
  phone.online = true;
  await phone.tap(".send");
  const [sent] = phone.sent("POST", "/reports");
  expect(sent.data).toMatchObject({ result, text: "标签像是揭开重贴过" });
  expect(sent.status).toBeLessThan(300);
  expect(phone.text).toContain("已收到");
  await phone.tap(".back");
  expect(phone.path).toBe("/pages/result/result");
});

test("a suspicion about no check can be sent as well, and one from the records", async () => {
  const phone = await new Phone("jon").open();
  await phone.tap(".report");
  await phone.type(".words", "价格低得反常");
  await phone.tap(".send");
  await phone.tap(".back");
  await phone.tap(".history");
  await phone.tap(".record-report");
  expect(phone.data.about).toBe(true);
  expect(phone.sent("POST", "/reports")[0].data.result).toBeNull();
  expect(phone.text).toContain("附在您的那次查询上");
});

test("a page that is gone opens the check page", async () => {
  const phone = await new Phone("jon").open("/pages/gone/gone?x=1");
  expect(phone.path).toBe("/pages/check/check");
});
