// Requests: all of a run as dots, a table to sort, and the life of the one that is picked.

const LATENCIES = [
  { name: "ttft_s", title: "TTFT" },
  { name: "e2e_s", title: "End to end" },
  { name: "queue_s", title: "Queueing" },
  { name: "tpot_s", title: "Time per output token" },
  { name: "max_tbt_s", title: "Longest gap between tokens" },
];

function runName(run) {
  return `${D.systems[run.system].name}, seed ${run.seed}`;
}

/** Makes the section's content; `steps` is the timeline, or `null`. */
function requests(runs, steps) {
  const view = { run: 0, latency: 0, picked: null };
  const dots = el("canvas", { class: "dots", role: "img", "aria-label": "Latency of each request over its arrival; the table below has the same figures." });
  const list = el("div", { id: "request-list" });
  const life = el("div", { id: "request", class: "detail", "aria-live": "polite" });
  const find = el("input", { type: "number", min: "0", id: "request-id", change: () => pickId(Number(find.value)) });
  const pen = dots.getContext("2d");
  const frame = { left: 62, right: 12, top: 8, bottom: 32, height: 230 };
  let points = [];

  const c = () => columnsOf(runs[view.run]);
  const status = (row) => D.statuses[c().status[row]];

  function open(index) {
    Object.assign(view, { run: index, picked: null });
    const run = runs[index];
    const of = (name) => (row) => c()[name][row];
    const asTime = (name, title, hint) => ({ title, hint, value: of(name), show: (row) => time(c()[name][row]) });
    list.replaceChildren(
      table({
        caption: `Requests of ${runName(run)}`,
        rows: c().id.length,
        page: 15,
        sorted: { column: 5, down: true },
        picked: pick,
        columns: [
          { title: "Request", value: of("id") },
          { title: "Arrival", unit: "s", value: of("arrival_s"), show: (row) => c().arrival_s[row].toFixed(3) },
          { title: "Prompt", unit: "tok", value: of("input_tokens") },
          { title: "Cached", unit: "tok", hint: "Prompt tokens found in a prefix cache", value: of("cached_tokens") },
          { title: "Answer", unit: "tok", value: of("output_tokens") },
          asTime("ttft_s", "TTFT", "Time from arrival to the first token, queueing included"),
          asTime("tpot_s", "TPOT", "Mean time per output token after the first"),
          asTime("max_tbt_s", "Longest gap", "Longest time between two tokens"),
          asTime("e2e_s", "End to end"),
          { title: "Preempted", value: of("preemptions") },
          { title: "Energy", unit: "J", value: of("energy_j"), show: (row) => number(c().energy_j[row]) },
          { title: "Replica", value: of("replica") },
          // Where all of them completed, a column that says so takes room from the others.
          ...(D.statuses.length > 1 ? [{ title: "Status", text: true, value: status }] : []),
        ],
      }),
    );
    describe();
    paint();
  }

  function paint() {
    const dense = window.devicePixelRatio || 1;
    const width = dots.clientWidth;
    if (width === 0) return;
    dots.width = Math.round(width * dense);
    dots.height = Math.round(frame.height * dense);
    dots.style.height = `${frame.height}px`;
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    const latency = LATENCIES[view.latency];
    const xs = c().arrival_s;
    const ys = c()[latency.name];
    const [low, high] = xs.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
    const most = ys.reduce((most, y) => (y > most ? y : most), 0) || 1;
    const [right, bottom] = [width - frame.right, frame.height - frame.bottom];
    const px = (x) => frame.left + ((x - low) / (high - low || 1)) * (right - frame.left);
    const py = (y) => bottom - (y / (most * 1.04)) * (bottom - frame.top);
    pen.strokeStyle = color("grid");
    pen.fillStyle = color("faint");
    pen.textAlign = "right";
    for (const tick of ticks(0, most, 4)) {
      pen.strokeRect(frame.left, py(tick), right - frame.left, 0);
      pen.fillText(tick === 0 ? "0" : `${tickText(tick)} s`, frame.left - 6, py(tick) + 4);
    }
    pen.textAlign = "center";
    for (const tick of ticks(low, high, Math.max(2, width / 140))) pen.fillText(tickText(tick), px(tick), bottom + 14);
    pen.fillText("Arrival (s)", (frame.left + right) / 2, frame.height - 3);
    pen.fillStyle = color(`s${runs[view.run].system % 8}`);
    pen.globalAlpha = xs.length > 5000 ? 0.35 : 0.6;
    points = [];
    xs.forEach((x, row) => {
      if (Number.isNaN(ys[row])) return;
      points.push([px(x), py(ys[row]), row]);
      pen.fillRect(px(x) - 1.3, py(ys[row]) - 1.3, 2.6, 2.6);
    });
    pen.globalAlpha = 1;
    if (view.picked !== null && !Number.isNaN(ys[view.picked])) {
      pen.strokeStyle = color("accent");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(px(xs[view.picked]), py(ys[view.picked]), 6, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  /** The row of the dot within a few pixels of the pointer; `null` if there is none. */
  function dotAt(event) {
    const box = dots.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = [100, null];
    for (const [px, py, row] of points) {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < best[0]) best = [distance, row];
    }
    return best[1];
  }

  function hover(event) {
    const row = dotAt(event);
    if (row === null) return tip.hide();
    tip.show(event.clientX, event.clientY, el("b", {}, `Request ${c().id[row]}`), `TTFT ${time(c().ttft_s[row])}, end to end ${time(c().e2e_s[row])}`, `${count(c().input_tokens[row])} tokens in, ${count(c().output_tokens[row])} out`);
  }

  function pickId(id) {
    const row = c().id.indexOf(id);
    if (row >= 0) return pick(row);
    life.replaceChildren(el("p", { class: "note" }, `Request ${id} is not among those of ${runName(runs[view.run])} in this page.`));
  }

  function pick(row) {
    view.picked = row;
    describe();
    paint();
    life.scrollIntoView({ block: "nearest" });
  }

  /** Keeps a step of the picked request in the timeline. */
  function pickStep({ replica, slot, first }) {
    const run = D.steps.runs.findIndex((run) => run.system === runs[view.run].system && run.seed === runs[view.run].seed);
    if (steps && run >= 0) steps.pick(run, replica, slot, first);
  }

  /** What share of the requests did better than this one. */
  function rank(name, row) {
    const values = c()[name];
    if (Number.isNaN(values[row])) return "";
    let [known, below] = [0, 0];
    for (const value of values) {
      if (Number.isNaN(value)) continue;
      known += 1;
      if (value < values[row]) below += 1;
    }
    return `, longer than ${percent(below / known)} of requests`;
  }

  function describe() {
    const row = view.picked;
    if (row === null) return life.replaceChildren(el("p", { class: "note" }, "Pick a request: click a dot or a row, or give its number."));
    const of = (name) => c()[name][row];
    const completed = !Number.isNaN(of("e2e_s"));
    const pairs = [
      ["Status", status(row)],
      ["Arrival", `${of("arrival_s").toFixed(6)} s`],
      ["Prompt", `${count(of("input_tokens"))} tokens, ${count(of("cached_tokens"))} of them found in a prefix cache`],
      ["Answer", `${count(of("output_tokens"))} tokens`],
    ];
    if (completed) {
      pairs.push(
        ["Queueing", time(of("queue_s"))],
        ["TTFT", time(of("ttft_s")) + rank("ttft_s", row)],
        ["Time per output token", time(of("tpot_s")) + rank("tpot_s", row)],
        ["Longest gap", time(of("max_tbt_s")) + rank("max_tbt_s", row)],
        ["End to end", time(of("e2e_s")) + rank("e2e_s", row)],
        ["Preemptions", count(of("preemptions"))],
        ["Energy", `${number(of("energy_j"))} J`],
        ["Replica", c().decode_replica && !Number.isNaN(of("decode_replica")) ? `${of("replica")}, then ${of("decode_replica")}` : `${of("replica")}`],
      );
      if (c().decode_replica && !Number.isNaN(of("decode_replica"))) {
        pairs.push(["KV transfer", `${count(of("kv_bytes"))} B in ${time(of("kv_transfer_s"))}; waited for ${time(of("handover_wait_s"))} after the first token`]);
      }
    }
    life.replaceChildren(el("h3", {}, `Request ${of("id")} of ${runName(runs[view.run])}`), completed ? bar(row) : null, facts(pairs), completed ? link(row) : null, completed ? takingPart(runs[view.run], of("id"), of("arrival_s") + of("e2e_s"), pickStep) : null);
  }

  /** Its life as a bar: queue, prompt, answer. */
  function bar(row) {
    const of = (name) => c()[name][row];
    const parts = [
      ["queue", "Queue", of("queue_s")],
      ["prefill", "Prompt", of("ttft_s") - of("queue_s")],
      ["decode", "Answer", of("e2e_s") - of("ttft_s")],
    ];
    const whole = of("e2e_s") || 1;
    return el(
      "div",
      { class: "life", role: "img", "aria-label": parts.map(([, title, seconds]) => `${title} ${time(seconds)}`).join(", ") },
      parts.map(([kind, title, seconds]) => {
        const part = el("span", { class: kind }, seconds / whole > 0.12 ? `${title} ${time(seconds)}` : "");
        part.style.flexGrow = String(Math.max(0, seconds / whole));
        part.title = `${title} ${time(seconds)}`;
        return part;
      }),
    );
  }

  function link(row) {
    if (!steps) return null;
    const of = (name) => c()[name][row];
    const run = D.steps.runs.findIndex((run) => run.system === runs[view.run].system && run.seed === runs[view.run].seed);
    const [begin, first, end] = [of("arrival_s") + of("queue_s"), of("arrival_s") + of("ttft_s"), of("arrival_s") + of("e2e_s")];
    if (run < 0 || begin > D.steps.runs[run].until_s) {
      return el("p", { class: "note" }, "The steps it ran in are not in this page: see the note at the timeline.");
    }
    const decodes = c().decode_replica && !Number.isNaN(of("decode_replica")) ? of("decode_replica") : of("replica");
    const parts = [
      { replica: of("replica"), from: begin, to: decodes === of("replica") ? end : first, label: `request ${of("id")}` },
      ...(decodes === of("replica") ? [] : [{ replica: decodes, from: first, to: end, label: `request ${of("id")}` }]),
    ];
    return el("p", {}, button("Show the steps of its life in the timeline", () => steps.reveal(run, of("arrival_s"), end, parts), { id: "show-steps" }), el("span", { class: "note" }, " All steps that its replica ran meanwhile."));
  }

  dots.addEventListener("pointermove", hover);
  dots.addEventListener("pointerleave", () => tip.hide());
  dots.addEventListener("click", (event) => {
    const row = dotAt(event);
    if (row !== null) pick(row);
  });
  redrawn(dots, paint);
  const node = el(
    "div",
    {},
    el(
      "div",
      { class: "controls" },
      choice("Run", runs.map(runName), 0, open),
      choice("Show", LATENCIES.map((latency) => latency.title), 0, (index) => ((view.latency = index), paint())),
      el("label", { class: "choice" }, "Request ", find),
    ),
    dots,
    life,
    list,
  );
  open(0);
  return node;
}
