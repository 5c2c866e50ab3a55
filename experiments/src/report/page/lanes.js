// Steps of a run sorted into lanes, one per replica and pipeline slot, and what fits into a pixel of them.

/** The lanes of a run, by replica and slot. */
function lanesOf(run) {
  if (run.lanes) return run.lanes;
  const c = columnsOf(run);
  const rows = new Map();
  for (let row = 0; row < c.start_s.length; row++) {
    const key = c.replica[row] * 65536 + c.slot[row];
    if (!rows.has(key)) rows.set(key, []);
    rows.get(key).push(row);
  }
  const keys = [...rows.keys()].sort((a, b) => a - b);
  run.lanes = keys.map((key) => lane(c, rows.get(key).sort((a, b) => c.start_s[a] - c.start_s[b])));
  return run.lanes;
}

function lane(c, rows) {
  const of = (column) => Float64Array.from(rows, (row) => column[row]);
  const start = of(c.start_s);
  return {
    replica: c.replica[rows[0]],
    slot: c.slot[rows[0]],
    rows,
    start,
    end: Float64Array.from(rows, (row) => c.start_s[row] + c.duration_s[row]),
    prefill: of(c.prefill_tokens),
    decode: of(c.decode_requests),
  };
}

/** Number of the first step of the lane that ends after `time`. */
function firstEndingAfter(lane, time) {
  return Math.max(0, lowerBound(lane.end, time));
}

/** The step of the lane that runs at `time`; -1 if none does. */
function stepAt(lane, time) {
  const k = lowerBound(lane.start, time + 1e-12) - 1;
  return k >= 0 && lane.end[k] >= time ? k : -1;
}

/**
 * What the lane did in each of `width` equal parts of the time: the share of it that was busy, and the mean tokens of the
 * steps while it was. Grows with the number of steps in sight and with `width`, whichever way they lie.
 */
function binned(lane, from, to, width) {
  const span = (to - from) / width;
  const busy = new Float64Array(width);
  const prefill = new Float64Array(width);
  const decode = new Float64Array(width);
  for (let k = firstEndingAfter(lane, from); k < lane.start.length && lane.start[k] < to; k++) {
    const first = Math.max(0, (lane.start[k] - from) / span);
    const end = Math.min(width, (lane.end[k] - from) / span);
    for (let bin = Math.floor(first); bin < end; bin++) {
      const part = Math.min(end, bin + 1) - Math.max(first, bin);
      busy[bin] += part;
      prefill[bin] += part * lane.prefill[k];
      decode[bin] += part * lane.decode[k];
    }
  }
  for (let bin = 0; bin < width; bin++) {
    if (busy[bin] > 0) {
      prefill[bin] /= busy[bin];
      decode[bin] /= busy[bin];
    }
  }
  return { busy, prefill, decode };
}

/** Least and largest value of a column in each of `width` equal parts of the time; `NaN` where no step begins. */
function extremes(lane, column, from, to, width) {
  const low = new Float64Array(width).fill(NaN);
  const high = new Float64Array(width).fill(NaN);
  const span = (to - from) / width;
  for (let k = Math.max(0, lowerBound(lane.start, from) - 1); k < lane.start.length && lane.start[k] < to; k++) {
    const bin = Math.max(0, Math.floor((lane.start[k] - from) / span));
    const value = column[lane.rows[k]];
    if (!(low[bin] <= value)) low[bin] = value;
    if (!(high[bin] >= value)) high[bin] = value;
  }
  return { low, high };
}
