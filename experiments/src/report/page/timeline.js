// The step timeline: what each step ran, over the whole run and down to single steps.

/** Makes the timeline of `D.steps`: an element, and `show` to bring a stretch of a run into view. */
function timeline(runs) {
  const canvas = el("canvas", { tabindex: "0", role: "application", "aria-label": "Step timeline. Arrow keys pan, plus and minus zoom, 0 shows the whole run, comma and full stop go from step to step." });
  const status = el("p", { id: "timeline-status", role: "status" });
  const detail = el("div", { id: "step", class: "detail" });
  const replicaChoice = el("span");
  const view = { run: 0, lanes: [], from: 0, to: 1, begin: 0, end: 1, tracks: 0, chosen: null, band: null };
  let pending = false;

  function open(index) {
    const run = runs[index];
    Object.assign(view, { run: index, data: run, lanes: lanesOf(run), tracks: 0, chosen: null, band: null });
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
  const place = geometry(canvas, view);
  const { laneHeight, lanesTop, plotWidth, timeOf, trackTop } = place;
  const paint = painter(canvas, view, place, (text) => (status.textContent = text));

  /** Draws once before the next frame, however often it is asked to. */
  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      paint();
    });
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

  function turnTo(index) {
    if (view.run === index) return;
    open(index);
    runChoice.querySelector("select").selectedIndex = index;
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
    /** Chooses a step of run `index` and shows it. */
    pick(index, replica, slot, step) {
      turnTo(index);
      const lane = view.lanes.findIndex((lane) => lane.replica === replica && lane.slot === slot);
      if (lane < 0 || step >= view.lanes[lane].rows.length) return;
      choose(lane, step);
      canvas.scrollIntoView({ block: "center" });
      canvas.focus({ preventScroll: true });
    },
    /** Shows a stretch of run `index` with parts of it framed; says whether its steps are here. */
    reveal(index, from, to, parts) {
      turnTo(index);
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
