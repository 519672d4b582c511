const { Phone, fresh, restore, world } = require("./phone");

afterEach(restore);

const CHECK = "/pages/check/check";
const RESULT = "/pages/result/result";
const grouped = (code) => code.replace(/(.{4})(?=.)/g, "$1 ");

test("a typed code is grouped, asked about with one tap, and answered", async () => {
  const code = fresh("codes", "first");
  const phone = await new Phone("ann").open();
  expect(phone.title).toBe("查一件产品");
  expect(phone.requests).toEqual([]); // nobody is signed in for looking
  await phone.type(".code", code);
  expect(phone.data.text).toBe(grouped(code));
  await phone.tap(".main");
  expect(phone.path).toBe(RESULT);
  expect(phone.find(".answer.tone-green")).toBeTruthy();
  expect(phone.textOf(".headline")).toContain("首次查询");
  expect(phone.find(".icon").dom.getAttribute("src") || phone.data.look.icon).toContain("shield");
  expect(phone.textOf(".product")).toBe(world.product);
  expect(phone.textOf(".brand")).toBe(world.brand);
  expect(phone.all(".look-line").length).toBeGreaterThan(0);
  expect(phone.textOf(".next-step")).not.toBe("");
  const [asked] = phone.sent("POST", "/verifications");
  expect(asked.data.entry).toBe("typed");
  await phone.tap(".call");
  expect(phone.calls).toEqual([world.serviceLine]);
  await phone.tap(".again");
  expect([phone.path, phone.data.text]).toEqual([CHECK, ""]);
});

test("the same code asked about by somebody else is a repeat, in another colour and shape", async () => {
  const code = fresh("codes", "first");
  await (await new Phone("ann").open()).ask(code);
  const other = await new Phone("bob").open();
  await other.ask(code);
  expect(other.find(".answer.tone-amber")).toBeTruthy();
  expect(other.data.look.icon).toBe("triangle");
  expect(other.data.answer.outcome).toBe("repeat");
  expect(other.data.answer.ordinal).toBe(2);
  expect(other.find(".main.call")).toBeTruthy(); // the call is now the first thing to do
  expect(other.text).toContain("微信");
});

test("one's own repeat a moment later reads as the first", async () => {
  const code = fresh("codes", "first");
  const phone = await new Phone("ann").open();
  await phone.ask(code);
  await phone.tap(".again");
  await phone.ask(code);
  expect(phone.data.answer.outcome).toBe("repeat_own");
  expect(phone.find(".answer.tone-green")).toBeTruthy();
});

test("a slip is pointed at on the page where it can be put right", async () => {
  const { digits, position } = world.slip;
  const phone = await new Phone("cat").open();
  await phone.ask(digits);
  expect(phone.path).toBe(CHECK);
  expect(phone.text).toContain(`第 ${position} 位`);
  const marks = phone.all(".slip");
  expect(marks.map((mark) => mark.dom.textContent)).toEqual([digits[position - 1]]);
  expect(phone.data.text).toBe(grouped(digits)); // nothing is lost
});

test("an unknown code is not called a fake", async () => {
  const phone = await new Phone("cat").open();
  await phone.ask(fresh("codes", "not_found"));
  expect(phone.path).toBe(RESULT);
  expect(phone.find(".answer.tone-brown")).toBeTruthy();
  expect(phone.text).toContain("记录中没有");
  expect(phone.text).not.toMatch(/假/);
  expect(phone.find(".about")).toBeFalsy();
  expect(phone.find(".recall")).toBeFalsy();
});

test("an empty field asks nothing", async () => {
  const phone = await new Phone("cat").open();
  await phone.tap(".main");
  expect(phone.textOf(".status")).toBe("请输入标签涂层下的数字。");
  expect(phone.requests).toEqual([]);
});

test("a printed address fills in the code and asks nothing until the tap", async () => {
  const code = fresh("codes", "first");
  const address = encodeURIComponent(`${world.server}/q/${code}`);
  const phone = await new Phone("dan").open(`${CHECK}?q=${address}&scancode_time=1795243200`);
  expect(phone.data.text).toBe(grouped(code));
  expect(phone.textOf(".heading")).toBe("数字已填好，请按“查询”");
  expect(phone.requests).toEqual([]);
  await phone.tap(".main");
  expect(phone.data.answer.outcome).toBe("first");
  expect(phone.sent("POST", "/verifications")[0].data.entry).toBe("scanned");
});

test("a mini-program code fills it in as well", async () => {
  const code = fresh("codes", "not_found");
  const phone = await new Phone("dan").open(`${CHECK}?scene=${encodeURIComponent(code)}`);
  expect(phone.data.text).toBe(grouped(code));
  expect(phone.requests).toEqual([]);
});

test("the scanner reads a label; once somebody changes a digit the code is a typed one", async () => {
  const code = world.codes.not_found[0];
  const phone = await new Phone("dan").open();
  await phone.scan({ result: `https://verify.example.cn/01/06901234567892/21/${code}` });
  expect(phone.data.text).toBe(grouped(code));
  expect(phone.requests).toEqual([]);
  await phone.type(".code", world.slip.digits);
  await phone.tap(".main");
  expect(phone.sent("POST", "/verifications")[0].data.entry).toBe("typed");
});

test("what the scanner may bring instead is explained", async () => {
  const phone = await new Phone("dan").open();
  await phone.scan({ result: "https://elsewhere.example/coupon" });
  expect(phone.textOf(".status")).toContain("不是本服务的二维码");
  await phone.scan({ errMsg: "scanCode:fail cancel" });
  await phone.scan({ errMsg: "scanCode:fail auth deny" });
  expect(phone.textOf(".status")).toContain("没有摄像头权限");
  await phone.scan({ errMsg: "scanCode:fail" });
  expect(phone.textOf(".status")).toContain("没有读到二维码");
  expect(phone.requests).toEqual([]);
});

test("two taps are one question", async () => {
  const phone = await new Phone("dan").open();
  await phone.type(".code", fresh("codes", "first"));
  phone.find(".main").dispatchEvent("tap");
  await phone.tap(".main");
  expect(phone.sent("POST", "/verifications")).toHaveLength(1);
});
