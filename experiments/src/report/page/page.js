// The page, from top to bottom.

/** What was run, and what its reader has to know before believing it. */
function overview() {
  const differ = D.settings.differ;
  const settings = (rows) =>
    table({
      caption: "Settings of the systems",
      rows: rows.length,
      columns: [
        { title: "Setting", text: true, value: (row) => rows[row].key, show: (row) => el("code", {}, rows[row].key) },
        ...D.systems.map((system, index) => ({
          title: system.name,
          text: true,
          value: (row) => rows[row].values[index],
          show: (row) => el("span", { class: "setting", title: rows[row].values[index] }, rows[row].values[index]),
        })),
      ],
    });
  return section(
    "what",
    "What was run",
    facts(D.facts),
    el("ul", { class: "systems" }, D.systems.map((system, index) => el("li", {}, swatch(index), el("b", {}, system.name), system.words ? `: ${system.words}` : ""))),
    D.warnings.length > 0 ? el("div", { class: "warnings" }, el("h3", {}, "Warnings"), el("ul", {}, D.warnings.map((warning) => el("li", {}, warning)))) : null,
    // Systems of different shapes differ in most of their keys.
    differ.length > 0 ? el("details", { open: differ.length <= 12 }, el("summary", {}, `Where the systems differ (${count(differ.length)} settings)`), settings(differ)) : null,
    D.settings.same.length > 0 ? el("details", {}, el("summary", {}, D.systems.length > 1 ? "Settings they share" : "All settings"), settings(D.settings.same)) : null,
  );
}

/** Which share of the step time stands on what, by operator. */
function evidence() {
  const { operators, kinds, shares } = D.evidence;
  const strip = (parts, most) =>
    el("span", { class: "strip" }, parts.map((share, kind) => {
      const part = el("i", { class: kinds[kind], title: `${kinds[kind]} ${percent(share)}` });
      part.style.width = `${(share / most) * 100}%`;
      return part;
    }));
  const words = (parts) => parts.map((share, kind) => (share > 0 ? `${percent(share, share < 0.0995 ? 1 : 0)} ${kinds[kind]}` : null)).filter(Boolean).join(", ");
  const sum = (parts) => parts.reduce((all, share) => all + share, 0);
  const totals = shares.map((system) => kinds.map((_, kind) => sum(system.map((parts) => parts[kind]))));
  const used = operators.map((_, o) => o).filter((o) => shares.some((system) => sum(system[o]) > 0));
  const most = Math.max(...used.flatMap((o) => shares.map((system) => sum(system[o]))));
  return section(
    "evidence",
    "What step times stand on",
    el("p", {}, "Each operator of a step is priced from kernel tables that were measured, from a profile fitted to such tables, or from curves beyond what was measured (extrapolated)."),
    el("ul", { class: "legend" }, kinds.map((kind) => el("li", {}, el("span", { class: "strip key" }, el("i", { class: kind })), kind))),
    el("ul", { class: "systems" }, D.systems.map((system, index) => el("li", {}, swatch(index), el("b", {}, system.name), `: ${words(totals[index]) || "no step ran"}`))),
    table({
      caption: "Share of step time by operator and what it stands on",
      rows: used.length,
      sorted: { column: 1, down: true },
      columns: [
        { title: "Operator", text: true, value: (row) => operators[used[row]] },
        ...D.systems.flatMap((system, index) => [
          { title: system.name, unit: "% of step time", value: (row) => sum(shares[index][used[row]]), show: (row) => percent(sum(shares[index][used[row]])) },
          { title: "", text: true, value: (row) => sum(shares[index][used[row]]), show: (row) => strip(shares[index][used[row]], most) },
        ]),
      ],
    }),
  );
}

/** Every run with its measures. */
function allRuns() {
  const holder = el("div", { id: "runs-table" });
  const fill = (wanted) => {
    const shown = D.measures.map((_, m) => m).filter((m) => wanted(D.measures[m]) && D.runs.some((run) => run.values[m] !== null));
    holder.replaceChildren(
      table({
        caption: "Every run",
        rows: D.runs.length,
        page: 50,
        columns: [
          { title: "System", text: true, value: (row) => D.systems[D.runs[row].system].name },
          { title: "Seed", value: (row) => D.runs[row].seed, show: (row) => D.runs[row].seed },
          ...D.keys.map((key, at) => ({
            title: key,
            value: (row) => {
              const value = D.points[D.runs[row].point][at];
              return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
            },
          })),
          ...shown.map((m) => ({
            title: D.measures[m].name,
            unit: unitOf(D.measures[m]),
            hint: D.measures[m].doc,
            value: (row) => D.runs[row].values[m],
            show: (row) => measured(D.measures[m], D.runs[row].values[m]),
          })),
        ],
      }),
    );
  };
  fill((measure) => measure.headline);
  return section("runs", "Every run", D.runs_note ? el("p", { class: "note" }, D.runs_note) : null, el("div", { class: "controls" }, measureChoice(fill)), holder);
}

function distributions() {
  const plots = D.cdfs.map((cdf) => {
    const holder = el("div");
    const fill = (log) =>
      holder.replaceChildren(
        chart({
          title: `${cdf.title}: share of ${cdf.counted}`,
          x: { title: cdf.title, unit: "s", show: time },
          y: { title: cdf.counted === "gaps" ? "Gaps between tokens" : "Requests", unit: "%", show: (y) => `${number(y)}${THIN_SPACE}%`, low: 0, high: 100 },
          series: cdf.series,
          limits: cdf.limit_s === null ? [] : [{ x: cdf.limit_s, label: `objective ${tickText(cdf.limit_s)} s` }],
          log,
          steps: true,
        }),
      );
    fill(true);
    return el("div", {}, holder, el("label", { class: "choice" }, el("input", { type: "checkbox", checked: true, change: (event) => fill(event.target.checked) }), " logarithmic"));
  });
  return section("distributions", "Distributions", el("p", { class: "note" }, D.cdf_note), el("div", { class: "plots" }, plots));
}

function lockFile() {
  const text = el("pre", { id: "lock-text", tabindex: "0" }, D.lock);
  const copy = button("Copy", async () => {
    getSelection().selectAllChildren(text);
    const copied = await navigator.clipboard?.writeText(D.lock).then(() => true, () => false);
    copy.textContent = copied || document.execCommand("copy") ? "Copied" : "Selected: copy with Ctrl+C";
  }, { id: "copy-lock" });
  return section("lock", "Lock file", el("p", {}, `${D.kind === "sweep" ? "The sweep as it was asked for, and what it stands on" : "The experiment with every default written out"}. `, el("code", {}, `servesim ${D.kind} experiment.lock.toml`), " gives the same bytes. ", copy), el("details", {}, el("summary", {}, "experiment.lock.toml"), text));
}

function page() {
  const steps = D.steps.runs.length > 0 ? timeline(D.steps.runs) : null;
  const over = D.keys.length > 0 ? curves() : null;
  const sections = [
    overview(),
    D.kind !== "goodput" && D.runs.length > 0 ? section("comparison", D.systems.length > 1 ? "Comparison" : "Measures", comparison()) : null,
    D.plan ? section("deployments", "Deployments", deployments(D.plan)) : null,
    ...D.tables.map((found, at) =>
      section(
        `table-${at}`,
        found.title,
        table({
          caption: found.title,
          rows: found.rows.length,
          page: 50,
          columns: found.columns.map((name, column) => ({ title: name, text: found.text[column], value: (row) => found.rows[row][column] })),
        }),
      ),
    ),
    over ? section("curves-section", "Curves", over) : null,
    D.cdfs.length > 0 ? distributions() : null,
  ];
  if (D.kind === "run") {
    sections.push(section("steps", "Steps", D.steps.note ? el("p", { class: "note" }, D.steps.note) : null, steps ? [el("p", {}, "Bars go up for prompt tokens (", el("b", { class: "prefill" }, "■"), ") and down for decoding requests (", el("b", { class: "decode" }, "■"), ") of each step. Drag to move, scroll to zoom once the timeline is in focus, double-click to go closer."), steps.node] : null));
    sections.push(section("requests", "Requests", D.requests.note ? el("p", { class: "note" }, D.requests.note) : null, D.requests.runs.length > 0 ? requests(D.requests.runs, steps) : null));
  }
  if (D.evidence) sections.push(evidence());
  if (D.runs.length > 0) sections.push(allRuns());
  if (D.figures.length > 0) {
    sections.push(section("figures", "Figures", el("p", { class: "note" }, "As the folder has them, for papers."), el("div", { class: "plots" }, D.figures.map((figure) => el("figure", { class: "paper" }, el("img", { src: `data:image/svg+xml;base64,${figure.svg}`, alt: figure.name, loading: "lazy" }), el("figcaption", {}, `${figure.name}.svg`))))));
  }
  if (D.lock) sections.push(lockFile());
  const shown = sections.filter(Boolean);
  document.body.prepend(
    el("header", {}, el("h1", {}, D.title), el("p", { class: "note" }, D.made)),
    el("nav", { "aria-label": "Sections" }, shown.map((part) => el("a", { href: `#${part.id}` }, part.querySelector("h2").textContent))),
    el("main", {}, shown),
    tip.box,
  );
}

page();
