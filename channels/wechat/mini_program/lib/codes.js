// A code as it is shown and as it is found in what was scanned. Whether it is right, the server says.

const LINK = /\/(?:q|21)\/([0-9]{6,64})(?:$|[?#/])/;
const ALONE = /^\s*([0-9][0-9\s]{5,80})\s*$/;
const PLAIN = /^[0-9０-９\s]*$/;
const GROUP = 4;

const toAscii = (text) => text.replace(/[０-９]/g, (digit) => String.fromCharCode(digit.charCodeAt(0) - 0xfee0));

/** The ASCII digits of a text, full-width ones included. */
const digitsOf = (text) => toAscii(text).replace(/[^0-9]/g, "");

/** Digits in groups of four. */
const grouped = (digits) => digits.replace(/(.{4})(?=.)/g, "$1 ");

/**
 * The field's text after a key: digits in groups, anything else untouched for the server to read. `cursor` keeps its
 * place among the digits.
 */
function regroup(text, cursor) {
  if (!PLAIN.test(text)) return { value: text, cursor };
  const before = digitsOf(text.slice(0, cursor)).length;
  return {
    value: grouped(digitsOf(text)),
    cursor: before + (before > 0 ? Math.floor((before - 1) / GROUP) : 0),
  };
}

/** The digits in a scanned text: an address of a label (/q/ or Digital Link 21) or digits alone; "" where neither. */
function scannedDigits(text) {
  const found = LINK.exec(text) || ALONE.exec(text);
  return found ? digitsOf(found[1]) : "";
}

/** The digits with which the page was opened: by a printed address (`q`) or a mini-program code (`scene`). */
function openedWith(query) {
  for (const value of [query.q, query.scene]) {
    const digits = value ? scannedDigits(decoded(value)) : "";
    if (digits) return digits;
  }
  return "";
}

// Some systems hand the value over decoded already, and a lone % then does not decode again.
function decoded(value) {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    return value;
  }
}

/** The digits in groups of {text, marked}, to point at positions (1-based). */
function marked(digits, positions) {
  const groups = [];
  for (let at = 0; at < digits.length; at += GROUP) {
    groups.push(
      digits
        .slice(at, at + GROUP)
        .split("")
        .map((text, offset) => ({ text, marked: positions.includes(at + offset + 1) })),
    );
  }
  return groups;
}

module.exports = { digitsOf, grouped, regroup, scannedDigits, openedWith, marked };
