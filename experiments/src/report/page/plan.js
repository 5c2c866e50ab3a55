// The deployments of a plan: what they cost and what that buys, and every one of them with what became of it.

const BOUGHT = [
  { name: "usd_per_hour", title: "Cost", unit: "$/h" },
  { name: "p99_ttft_ms", title: "P99 TTFT", unit: "ms" },
  { name: "p99_itl_ms", title: "P99 TBT", unit: "ms" },
  { name: "energy_j_per_output_token", title: "Energy", unit: "J/tok" },
];

/** Makes the section's content. */
function deployments({ table: found, systems }) {
  const place = new Map(found.columns.map((name, index) => [name, index]));
  const of = (row, name) => found.rows[row][place.get(name)] ?? null;
  const all = found.rows.map((_, row) => row);
  const is = (status) => (row) => of(row, "status") === status;
  const simulated = (row) => is("serves")(row) || is("misses")(row);
  const flag = (name) => (row) => of(row, name) === "true";
  const title = ({ title, unit }) => `${title} (${unit})`;
  const shown = ({ unit }, value) => `${number(value)}${THIN_SPACE}${unit}`;
  const measures = BOUGHT.filter(({ name }) => all.some((row) => simulated(row) && of(row, name) !== null));
  const view = { across: 0, up: Math.min(1, measures.length - 1), missing: false };
  const picture = el("div", { id: "frontier" });
  const detail = el("div", { id: "deployment", class: "detail", "aria-live": "polite" });
  const inTime = (row) => {
    const [share, half] = [of(row, "attainment"), of(row, "attainment_half_width")];
    return share === null ? NONE : `${(share * 100).toFixed(1)}${half === null ? "" : ` ± ${(half * 100).toFixed(1)}`}${THIN_SPACE}%`;
  };
  const evidence = (row) => ["measured", "fitted", "extrapolated"].map((kind) => of(row, `${kind}_time_share`));

  function describe(row) {
    const parts = evidence(row);
    const pairs = [
      ["What became of it", of(row, "status") + (flag("winner")(row) ? ", the plan" : "") + (flag("frontier")(row) ? ", on the frontier" : "")],
      ...(of(row, "reason") === null ? [] : [["Why", of(row, "reason")]]),
      ...(of(row, "gpus") === null ? [] : [["GPUs", `${count(of(row, "gpus"))}: ${[of(row, "gpu"), of(row, "decode_gpu")].filter(Boolean).join(" + ")}`]]),
      ...BOUGHT.filter(({ name }) => of(row, name) !== null).map((measure) => [measure.title, shown(measure, of(row, measure.name))]),
      ...(simulated(row) ? [["Requests in time", `${inTime(row)} of ${percent(of(row, "wanted"), 0)} wanted (${of(row, "demand")})${of(row, "beyond_noise") === "false" ? ", within noise" : ""}`]] : []),
      ...(parts[0] === null ? [] : [["Step times stand on", ["measured", "fitted", "extrapolated"].map((kind, at) => (parts[at] > 0 ? `${percent(parts[at], 0)} ${kind}` : null)).filter(Boolean).join(", ")]]),
    ];
    detail.replaceChildren(el("h3", {}, of(row, "deployment")), facts(pairs));
  }

  function draw() {
    const [across, up] = [measures[view.across], measures[view.up]];
    const rows = all.filter((row) => (view.missing ? simulated(row) : is("serves")(row) || flag("winner")(row)) && of(row, across.name) !== null && of(row, up.name) !== null);
    picture.replaceChildren(
      scatter({
        title: `${up.title} against ${across.title.toLowerCase() === "cost" ? "cost" : across.title}`,
        x: { title: title(across), show: (x) => shown(across, x) },
        y: { title: title(up), show: (y) => shown(up, y) },
        points: rows.map((row) => ({
          x: of(row, across.name),
          y: of(row, up.name),
          system: systems.indexOf(of(row, "system")),
          large: flag("frontier")(row),
          ringed: flag("winner")(row),
          lines: [el("b", {}, of(row, "deployment")), ...measures.map((measure) => `${measure.title}: ${shown(measure, of(row, measure.name))}`), `Requests in time: ${inTime(row)}`, of(row, "status") + (flag("winner")(row) ? ", the plan" : "") + (flag("frontier")(row) ? ", on the frontier" : "")],
          pick: () => describe(row),
        })),
      }),
    );
  }

  const counts = ["serves", "misses", "not simulated", "cannot be"].map((status) => [status, all.filter(is(status)).length]);
  const plan = all.find(flag("winner"));
  const strip = (row) => {
    const parts = evidence(row);
    if (parts[0] === null) return NONE;
    return el("span", { class: "strip", title: ["measured", "fitted", "extrapolated"].map((kind, at) => `${kind} ${percent(parts[at])}`).join(", ") }, ["measured", "fitted", "extrapolated"].map((kind, at) => {
      const part = el("i", { class: kind });
      part.style.width = `${parts[at] * 100}%`;
      return part;
    }));
  };
  const figure = ({ name, title, unit }) => ({ title, unit, hint: name, value: (row) => of(row, name), show: (row) => (of(row, name) === null ? NONE : number(of(row, name))) });
  const list = table({
    caption: "Deployments",
    rows: found.rows.length,
    page: 40,
    picked: describe,
    columns: [
      { title: "Deployment", text: true, value: (row) => of(row, "deployment") },
      { title: "Status", text: true, value: (row) => (flag("winner")(row) ? "the plan" : flag("frontier")(row) ? "frontier" : of(row, "status")) },
      { title: "GPUs", value: (row) => of(row, "gpus") },
      figure(BOUGHT[0]),
      { title: "In time", unit: "%", hint: "Share of requests that met the tightest objective", value: (row) => of(row, "attainment"), show: inTime },
      ...BOUGHT.slice(1).map(figure),
      { title: "Stands on", text: true, hint: "What step times are: measured, fitted or extrapolated", value: (row) => of(row, "extrapolated_time_share"), show: strip },
      { title: "Why not", text: true, value: (row) => of(row, "reason") },
    ],
  });
  list.id = "deployments-table";
  const kinds = [
    ["that serve", (row) => is("serves")(row) || flag("winner")(row)],
    ["on the frontier", (row) => flag("frontier")(row) || flag("winner")(row)],
    ["that were simulated", simulated],
    ["that were not simulated", is("not simulated")],
    ["that cannot be", is("cannot be")],
    ["of all kinds", null],
  ];
  const serving = all.some(kinds[0][1]);
  list.filter(serving ? kinds[0][1] : null);
  if (measures.length > 1) draw();
  detail.replaceChildren(el("p", { class: "note" }, "Pick a deployment: click a point or a row."));
  if (plan !== undefined) describe(plan);
  const names = measures.map(title);
  return [
    facts([["Plan", plan === undefined ? "none" : of(plan, "deployment")], ...counts.map(([status, number]) => [status[0].toUpperCase() + status.slice(1), count(number)]), ["On the frontier", count(all.filter(flag("frontier")).length)]]),
    measures.length < 2
      ? null
      : [
          el("div", { class: "controls" },
            choice("Across", names, view.across, (index) => ((view.across = index), draw())),
            choice("Up", names, view.up, (index) => ((view.up = index), draw()), { id: "frontier-up" }),
            el("label", { class: "choice" }, el("input", { type: "checkbox", change: (event) => ((view.missing = event.target.checked), draw()) }), " those that miss too"),
          ),
          el("ul", { class: "legend" }, systems.map((name, index) => el("li", {}, dot(index), name)), el("li", {}, "large: not beaten in cost, TTFT, TBT and energy at once"), el("li", {}, "in a ring: the plan")),
          picture,
        ],
    detail,
    el("div", { class: "controls" }, choice("Deployments", kinds.map(([words]) => words), serving ? 0 : 5, (index) => list.filter(kinds[index][1]), { id: "deployments-shown" })),
    list,
  ];
}

/** The mark of a system in a legend. */
function dot(system) {
  return svg("svg", { class: "swatch", viewBox: "0 0 26 8", "aria-hidden": "true" }, svg("circle", { class: `f${system % 8}`, cx: 13, cy: 4, r: 4 }));
}
