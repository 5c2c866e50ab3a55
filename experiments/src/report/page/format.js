// Numbers and times as people read them.

const NONE = "–";
const THIN_SPACE = "\u202f";

/** Four significant digits, or all those before the point; powers of ten from a billion on. */
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-6)) return minus(value.toExponential(3).replace("e+", "e"));
  const magnitude = size === 0 ? 0 : Math.floor(Math.log10(size));
  return minus(grouped(value.toFixed(Math.min(9, Math.max(0, 3 - magnitude)))));
}

/** A whole number in full, others as `number`. */
function count(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e12 ? minus(grouped(String(value))) : number(value);
}

/** Thin spaces between the thousands of numbers of five digits or more. */
function grouped(text) {
  const [whole, fraction] = text.split(".");
  const digits = whole.replace("-", "").length < 5 ? whole : whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
  return fraction === undefined ? digits : `${digits}.${fraction}`;
}

function minus(text) {
  return text.replace("-", "−");
}

function percent(share, digits = 1) {
  return share === null || Number.isNaN(share) ? NONE : `${minus((share * 100).toFixed(digits))}${THIN_SPACE}%`;
}

/** A time in seconds, in the unit that suits it. */
function time(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NONE;
  const size = Math.abs(seconds);
  if (size === 0 || size >= 1) return `${number(seconds)}${THIN_SPACE}s`;
  if (size >= 1e-3) return `${number(seconds * 1e3)}${THIN_SPACE}ms`;
  return `${number(seconds * 1e6)}${THIN_SPACE}µs`;
}

/** The value of a measure of `D.measures`: shares in percent. */
function measured(measure, value) {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "string") return value;
  return measure.share ? percent(value) : count(value);
}

/** The unit to print at the head of a measure's column. */
function unitOf(measure) {
  return measure.share ? "%" : measure.unit;
}

/** About `wanted` round numbers from `low` to `high`. */
function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(i * step);
  return out;
}

/** 1, 2 and 5 times the powers of ten from `low` to `high`, or the powers alone where these are many. */
function logTicks(low, high) {
  const out = [];
  const factors = high / low > 300 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of factors) {
      const tick = factor * 10 ** power;
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) out.push(tick);
    }
  }
  return out;
}

/** A tick's label: no more digits than it needs. */
function tickText(value) {
  return minus(String(Number(value.toPrecision(9))));
}
