// What the timeline looks like: lanes, the queue and cache below them, the whole run above, and what is framed.

const VIEW = { overview: 30, gap: 8, track: 46, axis: 20, left: 74, right: 10, shortest: 20e-6 };
/** Quantities drawn below the lanes, over the same time, for one replica. */
const TRACKS = [
  { name: "waiting", title: "waiting", show: (v) => `${count(v)} requests waiting` },
  { name: "running", title: "running", show: (v) => `${count(v)} requests running` },
  { name: "free_kv_blocks", title: "KV free", show: (v) => `${count(v)} KV blocks free` },
];

/** Where things lie on the canvas, in CSS pixels. */
function geometry(canvas, view) {
  const laneHeight = () => (view.lanes.length <= 2 ? 84 : view.lanes.length <= 6 ? 56 : view.lanes.length <= 20 ? 30 : 16);
  const lanesTop = VIEW.overview + VIEW.gap;
  const plotWidth = () => Math.max(50, canvas.clientWidth - VIEW.left - VIEW.right);
  const xOf = (t) => VIEW.left + ((t - view.from) / (view.to - view.from)) * plotWidth();
  const timeOf = (x) => view.from + ((x - VIEW.left) / plotWidth()) * (view.to - view.from);
  const trackTop = (index) => lanesTop + view.lanes.length * laneHeight() + index * (VIEW.track + 6) + 4;
  return { laneHeight, lanesTop, plotWidth, xOf, timeOf, trackTop };
}

/**
 * What draws `view`: its lanes from one moment to another, and whatever is framed. `say` is told what is in sight.
 * The work grows with the steps in sight and with the width, by a few operations each; 100,000 steps are a few milliseconds.
 */
function painter(canvas, view, { laneHeight, lanesTop, plotWidth, xOf, trackTop }, say) {
  const pen = canvas.getContext("2d");
  const inSight = (lane) => Math.max(0, lowerBound(lane.start, view.to) - firstEndingAfter(lane, view.from));

  function paint() {
    const height = lanesTop + view.lanes.length * laneHeight() + TRACKS.length * (VIEW.track + 6) + VIEW.axis + 6;
    const dense = window.devicePixelRatio || 1;
    canvas.style.height = `${height}px`;
    const width = canvas.clientWidth;
    if (width === 0) return;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    const colors = Object.fromEntries(["ink", "faint", "grid", "prefill", "decode", "panel", "accent"].map((name) => [name, color(name)]));
    paintOverview(colors);
    paintGrid(colors, height);
    view.lanes.forEach((lane, index) => paintLane(lane, index, colors));
    TRACKS.forEach((track, index) => paintTrack(track, index, colors));
    paintBand(colors);
    paintChosen(colors);
    const steps = view.lanes.reduce((sum, lane) => sum + inSight(lane), 0);
    say(`Showing ${time(view.from)} to ${time(view.to)} (${time(view.to - view.from)}) · ${count(steps)} steps in sight`);
    Object.assign(canvas.dataset, { from: view.from, to: view.to, steps });
  }

  function paintOverview(colors) {
    const width = Math.round(plotWidth());
    if (view.overview?.width !== width) {
      view.overview = { width, lanes: view.lanes.map((lane) => binned(lane, view.begin, view.end, width)) };
    }
    const label = (text, y) => ((pen.fillStyle = colors.faint), (pen.textAlign = "right"), pen.fillText(text, VIEW.left - 8, y));
    label("all", VIEW.overview / 2 + 4);
    for (let bin = 0; bin < width; bin++) {
      let [prefill, decode, busy] = [0, 0, 0];
      for (const lane of view.overview.lanes) {
        prefill += lane.prefill[bin] * lane.busy[bin];
        decode += lane.decode[bin] * lane.busy[bin];
        busy += lane.busy[bin];
      }
      if (busy === 0) continue;
      column(VIEW.left + bin, 1, 0, VIEW.overview, prefill / busy, decode / busy, Math.min(1, busy / view.lanes.length), colors);
    }
    const whole = view.end - view.begin;
    const left = VIEW.left + ((view.from - view.begin) / whole) * width;
    const right = VIEW.left + ((view.to - view.begin) / whole) * width;
    pen.globalAlpha = 0.72;
    pen.fillStyle = colors.panel;
    pen.fillRect(VIEW.left, 0, left - VIEW.left, VIEW.overview);
    pen.fillRect(right, 0, VIEW.left + width - right, VIEW.overview);
    pen.globalAlpha = 1;
    pen.strokeStyle = colors.accent;
    pen.lineWidth = 1.5;
    pen.strokeRect(left, 0.75, Math.max(2, right - left), VIEW.overview - 1.5);
  }

  /** One bar: prompt tokens upwards from the middle, decodes downwards, each against the most of any step. */
  function column(x, width, top, height, prefill, decode, alpha, colors) {
    const middle = top + height / 2;
    const up = (prefill / view.most.prefill) * (height / 2 - 1);
    const down = (decode / view.most.decode) * (height / 2 - 1);
    pen.globalAlpha = 0.25 + 0.75 * alpha;
    pen.fillStyle = colors.prefill;
    if (prefill > 0) pen.fillRect(x, middle - Math.max(1, up), width, Math.max(1, up));
    pen.fillStyle = colors.decode;
    if (decode > 0) pen.fillRect(x, middle, width, Math.max(1, down));
    pen.globalAlpha = 1;
  }

  function paintLane(lane, index, colors) {
    const height = laneHeight();
    const top = lanesTop + index * height;
    const width = Math.round(plotWidth());
    pen.strokeStyle = colors.grid;
    pen.lineWidth = 1;
    pen.strokeRect(VIEW.left, top + 0.5, width, height - 3);
    pen.fillStyle = colors.ink;
    pen.textAlign = "right";
    pen.fillText(height < 20 ? `${lane.replica}` : `replica ${lane.replica}`, VIEW.left - 8, top + height / 2 + (height < 20 ? 3 : 4));
    if (inSight(lane) > width / 2) {
      const bins = binned(lane, view.from, view.to, width);
      for (let bin = 0; bin < width; bin++) {
        if (bins.busy[bin] > 0) column(VIEW.left + bin, 1, top, height - 2, bins.prefill[bin], bins.decode[bin], bins.busy[bin], colors);
      }
      return;
    }
    for (let k = firstEndingAfter(lane, view.from); k < lane.start.length && lane.start[k] < view.to; k++) {
      const left = Math.max(VIEW.left, xOf(lane.start[k]));
      const right = Math.min(VIEW.left + width, xOf(lane.end[k]));
      const gap = right - left > 4 ? 1 : 0;
      column(left, Math.max(0.5, right - left - gap), top, height - 2, lane.prefill[k], lane.decode[k], 1, colors);
    }
  }

  function paintTrack(track, index, colors) {
    const values = columnsOf(view.data)[track.name];
    const lane = view.lanes[view.tracks];
    const width = Math.round(plotWidth());
    const top = trackTop(index);
    const bottom = top + VIEW.track;
    lane.most ??= {};
    const most = (lane.most[track.name] ??= Math.max(1, lane.rows.reduce((most, row) => Math.max(most, values[row]), 0)));
    const y = (value) => bottom - (value / most) * (VIEW.track - 4);
    pen.fillStyle = colors.ink;
    pen.textAlign = "right";
    pen.fillText(track.title, VIEW.left - 8, top + VIEW.track / 2 + 8);
    pen.fillStyle = colors.faint;
    pen.fillText(count(most), VIEW.left - 8, top + 9);
    pen.strokeStyle = colors.grid;
    pen.strokeRect(VIEW.left, top + 0.5, width, VIEW.track - 1);
    const { low, high } = extremes(lane, values, view.from, view.to, width);
    pen.beginPath();
    let last = NaN;
    for (let bin = 0; bin < width; bin++) {
      if (Number.isNaN(low[bin])) continue;
      const x = VIEW.left + bin + 0.5;
      if (Number.isNaN(last)) pen.moveTo(x, y(low[bin]));
      else pen.lineTo(x, y(last));
      pen.lineTo(x, y(low[bin]));
      pen.lineTo(x, y(high[bin]));
      last = high[bin];
    }
    if (!Number.isNaN(last)) pen.lineTo(VIEW.left + width, y(last));
    pen.strokeStyle = colors.ink;
    pen.lineWidth = 1.2;
    pen.stroke();
  }

  function paintGrid(colors, height) {
    const bottom = height - VIEW.axis;
    pen.textAlign = "center";
    for (const tick of ticks(view.from, view.to, Math.max(3, plotWidth() / 110))) {
      const x = xOf(tick);
      pen.strokeStyle = colors.grid;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(x, lanesTop);
      pen.lineTo(x, bottom);
      pen.stroke();
      pen.fillStyle = colors.faint;
      const digits = Math.max(0, Math.ceil(-Math.log10((view.to - view.from) / 8)));
      pen.fillText(`${tick.toFixed(Math.min(7, digits))} s`, Math.max(VIEW.left + 12, Math.min(VIEW.left + plotWidth() - 16, x)), bottom + 14);
    }
  }

  function paintBand(colors) {
    if (!view.band) return;
    const height = laneHeight();
    view.lanes.forEach((lane, index) => {
      for (const part of view.band.parts.filter((part) => part.replica === lane.replica)) {
        const left = Math.max(VIEW.left, xOf(part.from));
        const right = Math.min(VIEW.left + plotWidth(), xOf(part.to));
        if (right <= left) continue;
        pen.strokeStyle = colors.accent;
        pen.lineWidth = 2;
        pen.strokeRect(left, lanesTop + index * height + 1, right - left, height - 4);
        const text = pen.measureText(part.label).width;
        pen.fillStyle = colors.accent;
        pen.fillRect(left, lanesTop + index * height + 1, text + 10, 16);
        pen.fillStyle = colors.panel;
        pen.textAlign = "left";
        pen.fillText(part.label, left + 5, lanesTop + index * height + 13);
      }
    });
  }

  function paintChosen(colors) {
    if (!view.chosen) return;
    const { lane, step } = view.chosen;
    const top = lanesTop + lane * laneHeight();
    const left = xOf(view.lanes[lane].start[step]);
    const right = xOf(view.lanes[lane].end[step]);
    if (right < VIEW.left || left > VIEW.left + plotWidth()) return;
    pen.strokeStyle = colors.ink;
    pen.lineWidth = 2;
    pen.strokeRect(Math.max(VIEW.left, left) - 1, top, Math.max(2, Math.min(right, VIEW.left + plotWidth()) - Math.max(VIEW.left, left)) + 2, laneHeight() - 2);
  }

  return paint;
}
