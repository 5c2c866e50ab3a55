// What the page shows, and how columns of numbers are unpacked.

const D = JSON.parse(document.getElementById("data").textContent);

/**
 * Unpacks a column that `packed.rs` packed: base64 of LEB128 numbers, 0 for "none", else 1 + the zigzag code of the
 * difference from the number before, in units of `scale`.
 * @returns {Float64Array} NaN where there is none
 */
function unpack(packed) {
  const bytes = atob(packed.bytes);
  const out = new Float64Array(packed.count);
  let at = 0;
  let last = 0;
  for (let i = 0; i < packed.count; i++) {
    let code = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes.charCodeAt(at++);
      code += (byte & 127) * factor;
      if (byte < 128) break;
      factor *= 128;
    }
    if (code === 0) {
      out[i] = NaN;
      continue;
    }
    code -= 1;
    last += code % 2 === 0 ? code / 2 : -(code + 1) / 2;
    out[i] = last * packed.scale;
  }
  return out;
}

/** Unpacks every column of a run, once. */
function columnsOf(run) {
  if (!run.unpacked) {
    run.unpacked = {};
    for (const [name, packed] of Object.entries(run.columns)) run.unpacked[name] = unpack(packed);
  }
  return run.unpacked;
}

/** First index in the sorted array whose value is not below `value`. */
function lowerBound(array, value) {
  let low = 0;
  let high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the element of the sorted array that lies nearest to `value`; -1 of none. */
function nearest(array, value) {
  const above = lowerBound(array, value);
  if (above === 0) return array.length > 0 ? 0 : -1;
  if (above === array.length) return above - 1;
  return value - array[above - 1] <= array[above] - value ? above - 1 : above;
}
