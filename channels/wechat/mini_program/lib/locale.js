// The language of the pages: as chosen, else as WeChat itself is set. A further language is a file in words/ and a
// line here.

const BOOKS = { "zh-CN": require("../words/zh-CN"), en: require("../words/en") };
const DEFAULT = "zh-CN";
const STORED_AS = "locale";

// The same rule as the service's: en-US is en, anything unknown is zh-CN.
const nearest = (language) => (/^en\b/i.test((language || "").replace("_", "-")) ? "en" : DEFAULT);

/** The locale in force. */
function current() {
  const chosen = wx.getStorageSync(STORED_AS);
  return BOOKS[chosen] ? chosen : nearest(wx.getAppBaseInfo().language);
}

/** The words of the locale in force. */
const words = () => BOOKS[current()];

/** Change to the other language, for good. */
function change() {
  wx.setStorageSync(STORED_AS, words().other_language_code);
}

/** Fill the {names} of a sentence. */
const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

const two = (number) => String(number).padStart(2, "0");

/** A time (ISO 8601, UTC) as people write it, in the phone's own time zone. */
function moment(iso) {
  const at = new Date(iso);
  const { date, months } = words();
  return fill(date, {
    year: at.getFullYear(),
    month: months[at.getMonth()],
    day: at.getDate(),
    time: `${two(at.getHours())}:${two(at.getMinutes())}`,
  });
}

module.exports = { BOOKS, current, words, change, fill, moment };
