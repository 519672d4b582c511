const { Phone, fresh, restore } = require("./phone");

afterEach(restore);

const CHECK = "/pages/check/check";

test("without a network nothing is lost, and asking again is the first question", async () => {
  const code = fresh("codes", "first");
  const phone = await new Phone("eve").open();
  phone.online = false;
  await phone.ask(code);
  expect(phone.path).toBe(CHECK);
  expect(phone.text).toContain("网络不通");
  expect(phone.text).toContain("不代表产品有问题");
  expect(phone.data.text.replace(/ /g, "")).toBe(code);
  expect(phone.textOf(".main")).toBe("再试一次");
  phone.online = true;
  await phone.tap(".main");
  expect(phone.data.answer).toMatchObject({ outcome: "first", ordinal: 1 });
});

test("a reply lost on its way back is fetched again, not counted again", async () => {
  const code = fresh("codes", "first");
  const phone = await new Phone("eve").open();
  phone.loseNextReply = true;
  await phone.ask(code);
  expect(phone.text).toContain("网络不通");
  await phone.tap(".main");
  const [lost, again] = phone.sent("POST", "/verifications");
  expect(again.header["idempotency-key"]).toBe(lost.header["idempotency-key"]);
  expect(again.body).toEqual(lost.body);
  expect(phone.data.answer).toMatchObject({ outcome: "first", ordinal: 1 });
  const other = await new Phone("bob").open();
  await other.ask(code);
  expect(other.data.answer.ordinal).toBe(2);
});

test("a new question has a key of its own", async () => {
  const code = fresh("codes", "first");
  const phone = await new Phone("eve").open();
  await phone.ask(code);
  await phone.tap(".again");
  await phone.ask(code);
  const keys = phone.sent("POST", "/verifications").map(({ header }) => header["idempotency-key"]);
  expect(new Set(keys).size).toBe(2);
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
});

test("one sign-in serves many requests", async () => {
  const phone = await new Phone("eve").open();
  await phone.ask(fresh("codes", "not_found"));
  await phone.tap(".again");
  await phone.tap(".history");
  expect(phone.logins).toBe(1);
});

test("a token the service no longer takes is replaced once, and the question stays the same", async () => {
  const phone = await new Phone("eve").open();
  await phone.ask(fresh("codes", "not_found"));
  await phone.tap(".again");
  let over = 0; // the new token may be the same: the service seals alike what is alike within a second
  phone.alterToken = (token) => (over++ === 0 ? `${token.slice(0, -4)}AAAA` : token);
  await phone.ask(fresh("codes", "first"));
  expect(phone.data.answer).toMatchObject({ outcome: "first", ordinal: 1 });
  const [, refused, taken] = phone.sent("POST", "/verifications");
  expect([refused.status, taken.status]).toEqual([401, 200]);
  expect(taken.header["idempotency-key"]).toBe(refused.header["idempotency-key"]);
  expect(phone.logins).toBe(2);
});

test("a token that is refused again and again ends in a sentence, not in a loop", async () => {
  const phone = await new Phone("eve").open();
  phone.alterToken = () => "Bearer forged";
  await phone.ask(fresh("codes", "not_found"));
  expect(phone.sent("POST", "/verifications")).toHaveLength(2);
  expect(phone.text).toContain("暂时连不上");
  expect(phone.textOf(".main")).toBe("再试一次");
});

test("a token past its time is not even tried", async () => {
  const phone = await new Phone("eve").open();
  await phone.ask(fresh("codes", "not_found"));
  const now = Date.now() + 3 * 3600 * 1000;
  jest.spyOn(Date, "now").mockImplementation(() => now);
  await phone.tap(".again");
  await phone.tap(".history");
  expect(phone.sent("GET", "/verifications").map(({ status }) => status)).toEqual([200]);
  expect(phone.logins).toBe(2);
});

test("a login code the platform does not know says nothing about the product", async () => {
  const phone = await new Phone("stranger").open();
  await phone.ask(fresh("codes", "not_found"));
  expect(phone.path).toBe(CHECK);
  expect(phone.text).toContain("不代表产品有问题");
});

test("too many wrong codes are answered with patience, and the digits stay", async () => {
  const phone = await new Phone("lou").open();
  for (let wrong = 0; wrong < 6 && phone.path === CHECK; wrong += 1) {
    await phone.ask(fresh("codes", "not_found"));
    if (phone.path !== CHECK) await phone.tap(".again");
  }
  expect(phone.textOf(".headline")).toBe("查询较多，请稍等");
  expect(phone.text).toContain("不代表产品有问题");
  expect(phone.data.text).not.toBe("");
});
