const { Phone, fresh, restore, ROOT, world } = require("./phone");

afterEach(restore);

test("the language is WeChat's own, until it is chosen; then it stays", async () => {
  const phone = await new Phone("kim", { language: "en" }).open();
  expect(phone.textOf(".heading")).toBe("Check the product in your hand");
  await phone.tap(".language");
  expect(phone.textOf(".heading")).toBe("查一查手中的产品");
  expect(phone.title).toBe("查一件产品");
  await phone.open();
  expect(phone.textOf(".heading")).toBe("查一查手中的产品");
  await phone.tap(".language");
  expect(phone.textOf(".heading")).toBe("Check the product in your hand");
});

test.each([
  ["zh_TW", "查一查手中的产品"],
  ["en_GB", "Check the product in your hand"],
  ["ja", "查一查手中的产品"],
])("WeChat in %s", async (language, heading) => {
  const phone = await new Phone("kim", { language }).open();
  expect(phone.textOf(".heading")).toBe(heading);
});

test("answer, record and report follow the language", async () => {
  const phone = await new Phone("kim", { language: "en" }).open();
  await phone.ask(fresh("codes", "first"));
  expect(phone.sent("POST", "/verifications")[0].data.locale).toBe("en");
  expect(phone.text).toContain("first check");
  expect(phone.textOf(".product")).toBe(world.productEn);
  expect(phone.text).not.toMatch(/[一-鿿]/);
  await phone.tap(".report");
  expect(phone.textOf(".heading")).toBe("What looks wrong");
  await phone.open("/pages/history/history");
  expect(phone.text).toContain("not of the pack in your hand");
  expect(phone.textOf(".record-product")).toBe(world.productEn);
  expect(phone.text).not.toMatch(/[一-鿿]/);
  expect(phone.textOf(".record-at")).toMatch(/^\d{1,2} [A-Z][a-z]+ \d{4} at \d\d:\d\d$/);
});

test("words are the same set in every language, each with the same names to fill in", () => {
  new Phone("kim");
  const { BOOKS } = require(`${ROOT}/lib/locale.js`);
  const [first, ...others] = Object.values(BOOKS).map((book) => entries(book));
  for (const other of others) {
    expect([...other.keys()].sort()).toEqual([...first.keys()].sort());
    for (const [key, text] of first) expect([key, names(other.get(key))]).toEqual([key, names(text)]);
  }
  expect(first.size).toBeGreaterThan(60);
});

const names = (text) => (text.match(/\{\w+\}/g) || []).sort();

function entries(book, before = "") {
  const found = new Map();
  for (const [key, value] of Object.entries(book)) {
    if (typeof value === "string") {
      expect(value).not.toBe("");
      found.set(before + key, value);
    } else {
      for (const [inner, text] of entries(value, `${before}${key}.`)) found.set(inner, text);
    }
  }
  return found;
}
