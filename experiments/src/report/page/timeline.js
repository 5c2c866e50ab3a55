// The step timeline: what each step ran, over the whole run and down to single steps.

const VIEW = { overview: 30, gap: 8, track: 46, axis: 20, left: 74, right: 10, shortest: 20e-6 };
/** Quantities drawn below the lanes, over the same time, for one replica. */
const TRACKS = [
  { name: "waiting", title: "waiting", show: (v) => `${count(v)} requests waiting` },
  { name: "running", title: "running", show: (v) => `${count(v)} requests running` },
  { name: "free_kv_blocks", title: "KV free", show: (v) => `${count(v)} KV blocks free` },
];

/** Makes the timeline of `D.steps`: an element, and `show` to bring a stretch of a run into view. */
function timeline(runs) {
  const canvas = el("canvas", { tabindex: "0", role: "application", "aria-label": "Step timeline. Arrow keys pan, plus and minus zoom, 0 shows the whole run, comma and full stop go from step to step." });
  const status = el("p", { id: "timeline-status", role: "status" });
  const detail = el("div", { id: "step", class: "detail" });
  const replicaChoice = el("span");
  const view = { run: 0, lanes: [], from: 0, to: 1, begin: 0, end: 1, tracks: 0, chosen: null, band: null };
  const pen = canvas.getContext("2d");
  let pending = false;

  function open(index) {
    const run = runs[index];
    Object.assign(view, { run: index, lanes: lanesOf(run), tracks: 0, chosen: null, band: null });
    view.begin = Math.min(...view.lanes.map((lane) => lane.start[0]));
    view.end = Math.max(...view.lanes.map((lane) => lane.end[lane.end.length - 1]));
    [view.from, view.to] = [view.begin, view.end];
    view.most = { prefill: Math.max(1, ...view.lanes.map((lane) => lane.prefill.reduce(larger, 0))), decode: Math.max(1, ...view.lanes.map((lane) => lane.decode.reduce(larger, 0))) };
    view.overview = null;
    const several = view.lanes.length > 1;
    replicaChoice.replaceChildren(...(several ? [choice("Queue and cache of", view.lanes.map(nameOf), 0, (lane) => ((view.tracks = lane), draw()))] : []));
    describe();
    draw();
  }

  const larger = (a, b) => Math.max(a, b);
  const nameOf = (lane) => `replica ${lane.replica}${view.lanes.some((other) => other.replica === lane.replica && other !== lane) ? `, slot ${lane.slot}` : ""}`;
  const laneHeight = () => (view.lanes.length <= 2 ? 84 : view.lanes.length <= 6 ? 56 : view.lanes.length <= 20 ? 30 : 16);
  const lanesTop = VIEW.overview + VIEW.gap;
  const plotWidth = () => Math.max(50, canvas.clientWidth - VIEW.left - VIEW.right);
  const xOf = (t) => VIEW.left + ((t - view.from) / (view.to - view.from)) * plotWidth();
  const timeOf = (x) => view.from + ((x - VIEW.left) / plotWidth()) * (view.to - view.from);

  /** Draws once before the next frame, however often it is asked to. */
  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      paint();
    });
  }

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
    status.textContent = `Showing ${time(view.from)} to ${time(view.to)} (${time(view.to - view.from)}) · ${count(steps)} steps in sight`;
    Object.assign(canvas.dataset, { from: view.from, to: view.to, steps });
  }

  const inSight = (lane) => Math.max(0, lowerBound(lane.start, view.to) - firstEndingAfter(lane, view.from));

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

  const trackTop = (index) => lanesTop + view.lanes.length * laneHeight() + index * (VIEW.track + 6) + 4;

  function paintTrack(track, index, colors) {
    const values = columnsOf(runs[view.run])[track.name];
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

  /** What a step was: pairs of names and values. */
  function factsOf(laneIndex, k) {
    const lane = view.lanes[laneIndex];
    const c = columnsOf(runs[view.run]);
    const row = lane.rows[k];
    const layers = Number.isNaN(c.prefill_first_layer[row]) ? "all" : `${c.prefill_first_layer[row]} to ${c.prefill_end_layer[row] - 1}`;
    return [
      ["Replica", nameOf(lane)],
      ["Start", `${c.start_s[row].toFixed(6)} s`],
      ["Duration", time(c.duration_s[row])],
      ["Prompt tokens", c.prefill_tokens[row] > 0 ? `${count(c.prefill_tokens[row])} of ${count(c.prefill_requests[row])} requests, layers: ${layers}` : "0"],
      ["Decoding", `${count(c.decode_requests[row])} requests, ${count(c.decode_context_tokens[row])} tokens of context`],
      ["Let in, preempted", `${count(c.admitted[row])}, ${count(c.preempted[row])}`],
      ["Waiting, running", `${count(c.waiting[row])}, ${count(c.running[row])}`],
      ["Free KV blocks", count(c.free_kv_blocks[row])],
      ["Energy above idle", `${number(c.dynamic_energy_j[row])} J`],
    ];
  }

  function describe() {
    if (!view.chosen) return detail.replaceChildren(el("p", { class: "note" }, "Click a step, or press full stop with the timeline in focus, to keep its figures here."));
    const { lane, step } = view.chosen;
    detail.replaceChildren(el("h3", {}, `Step ${count(step + 1)} of ${count(view.lanes[lane].rows.length)} on ${nameOf(view.lanes[lane])}`), facts(factsOf(lane, step)));
  }

  function choose(lane, step) {
    view.chosen = { lane, step };
    const { start, end } = view.lanes[lane];
    if (end[step] < view.from || start[step] > view.to) {
      const half = (view.to - view.from) / 2;
      show(start[step] - half, start[step] + half);
    }
    describe();
    draw();
  }

  /** Goes to the next step, or the one before, of the chosen lane; without one, to the first in sight. */
  function walk(by) {
    const lane = view.chosen?.lane ?? view.tracks;
    const steps = view.lanes[lane].start.length;
    const step = view.chosen ? view.chosen.step + by : firstEndingAfter(view.lanes[lane], view.from);
    choose(lane, Math.max(0, Math.min(steps - 1, step)));
  }

  /** Shows from one moment to another, as far as the run goes. */
  function show(from, to) {
    const span = Math.min(view.end - view.begin, Math.max(VIEW.shortest, to - from));
    view.from = Math.max(view.begin, Math.min(view.end - span, from + (to - from - span) / 2));
    view.to = view.from + span;
    draw();
  }

  function zoom(factor, around = (view.from + view.to) / 2) {
    show(around - (around - view.from) * factor, around + (view.to - around) * factor);
  }

  const pan = (share) => show(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from));

  function hover(x, y, event) {
    const t = timeOf(x);
    if (x < VIEW.left || x > VIEW.left + plotWidth()) return tip.hide();
    const lane = Math.floor((y - lanesTop) / laneHeight());
    if (lane >= 0 && lane < view.lanes.length) {
      const step = stepAt(view.lanes[lane], t);
      if (step < 0) return tip.show(event.clientX, event.clientY, el("b", {}, nameOf(view.lanes[lane])), `${t.toFixed(6)} s: idle`);
      const lines = factsOf(lane, step).slice(1).map(([name, value]) => `${name}: ${value}`);
      return tip.show(event.clientX, event.clientY, el("b", {}, `${nameOf(view.lanes[lane])}, step ${count(step + 1)}`), ...lines);
    }
    const track = TRACKS.findIndex((_, index) => y >= trackTop(index) && y < trackTop(index) + VIEW.track);
    const of = view.lanes[view.tracks];
    const step = lowerBound(of.start, t + 1e-12) - 1;
    if (track < 0 || step < 0) return tip.hide();
    tip.show(event.clientX, event.clientY, el("b", {}, `${nameOf(of)} at ${t.toFixed(6)} s`), TRACKS[track].show(columnsOf(runs[view.run])[TRACKS[track].name][of.rows[step]]));
  }

  steer(canvas, {
    hover,
    leave: () => tip.hide(),
    pan: (pixels) => pan(-pixels / plotWidth()),
    zoom: (factor, x) => zoom(factor, x === undefined ? undefined : timeOf(x)),
    whole: () => show(view.begin, view.end),
    walk,
    grab: (x, y) => y < VIEW.overview && x >= VIEW.left,
    scroll: (x) => {
      const middle = view.begin + ((x - VIEW.left) / plotWidth()) * (view.end - view.begin);
      const half = (view.to - view.from) / 2;
      show(middle - half, middle + half);
    },
    click: (x, y) => {
      const lane = Math.floor((y - lanesTop) / laneHeight());
      const step = lane >= 0 && lane < view.lanes.length ? stepAt(view.lanes[lane], timeOf(x)) : -1;
      if (step >= 0) choose(lane, step);
    },
  });
  redrawn(canvas, draw);
  const runChoice = choice("Run", runs.map(runName), 0, open);
  const controls = el(
    "div",
    { class: "controls" },
    runChoice,
    replicaChoice,
    button("Zoom in", () => zoom(0.5), { id: "zoom-in" }),
    button("Zoom out", () => zoom(2), { id: "zoom-out" }),
    button("Whole run", () => show(view.begin, view.end), { id: "zoom-all" }),
    button("◂ Step", () => walk(-1), { "aria-label": "Step before" }),
    button("Step ▸", () => walk(1), { "aria-label": "Next step" }),
  );
  open(0);
  return {
    node: el("div", { id: "timeline" }, controls, el("div", { class: "canvas" }, canvas), status, detail),
    /** Shows a stretch of run `index` with parts of it framed; says whether its steps are here. */
    reveal(index, from, to, parts) {
      if (view.run !== index) {
        open(index);
        runChoice.querySelector("select").selectedIndex = index;
      }
      view.band = { parts };
      const lane = view.lanes.findIndex((lane) => lane.replica === parts[0].replica);
      if (lane >= 0 && lane !== view.tracks) {
        view.tracks = lane;
        replicaChoice.querySelector("select").selectedIndex = lane;
      }
      const margin = (to - from) * 0.1;
      show(from - margin, to + margin);
      canvas.scrollIntoView({ block: "center" });
      canvas.focus({ preventScroll: true });
    },
  };
}
