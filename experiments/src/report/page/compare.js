// Systems beside each other: means over seeds, changes against the first system, and curves over what was varied.

/** Mean of the numbers; `null` of none. */
function mean(values) {
  const known = values.filter((value) => typeof value === "number");
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Choice of which measures a table shows; `chosen` gets a predicate over measures. */
function measureChoice(chosen) {
  const sections = [...new Set(D.measures.map((measure) => measure.section))];
  const options = ["Leading measures", "All measures", ...sections];
  const test = (index) => (measure) => (index === 0 ? measure.headline : index === 1 || measure.section === options[index]);
  return choice("Show", options, 0, (index) => chosen(test(index)));
}

/** The comparison at one swept point, with a choice of points and measures. */
function comparison() {
  const holder = el("div", { id: "comparison-table" });
  const view = { point: 0, wanted: (measure) => measure.headline };
  const fill = () => holder.replaceChildren(compared(view.point, view.wanted));
  const points = D.points.length > 1 ? choice("At", D.points.map(pointName), 0, (index) => ((view.point = index), fill())) : null;
  fill();
  const measures = measureChoice((wanted) => ((view.wanted = wanted), fill()));
  return el("div", {}, el("div", { class: "controls" }, points, measures), holder, el("p", { class: "note" }, D.compared));
}

function pointName(point) {
  return D.keys.map((key, index) => `${key} = ${point[index]}`).join(", ");
}

function compared(point, wanted) {
  const runs = D.runs.filter((run) => run.point === point);
  const systems = D.systems.map((_, index) => index).filter((system) => runs.some((run) => run.system === system));
  const means = new Map(systems.map((system) => [system, D.measures.map((_, m) => valueOver(runs.filter((run) => run.system === system), m))]));
  const rows = D.measures.map((_, m) => m).filter((m) => wanted(D.measures[m]) && systems.some((system) => means.get(system)[m] !== null));
  const changes = new Map(D.changes.filter((change) => change.point === point).map((change) => [`${change.system} ${change.measure}`, change]));
  const intervals = new Map(D.intervals.filter((row) => row[0] === point).map((row) => [`${row[1]} ${row[2]}`, intervalOf(row)]));
  const columns = [
    { title: "Measure", text: true, value: (row) => D.measures[rows[row]].name, show: (row) => named(D.measures[rows[row]]) },
    { title: "Unit", text: true, value: (row) => unitOf(D.measures[rows[row]]) },
  ];
  for (const system of systems) {
    const name = D.systems[system].name;
    columns.push({
      title: name,
      value: (row) => means.get(system)[rows[row]],
      show: (row) => around(D.measures[rows[row]], means.get(system)[rows[row]], intervals.get(`${system} ${rows[row]}`)),
    });
    if (system === systems[0]) continue;
    const changeOf = (row) => changes.get(`${system} ${rows[row]}`);
    columns.push({
      title: "change",
      hint: `${name} against ${D.systems[systems[0]].name}; sorts by the relative change`,
      value: (row) => relative(changeOf(row), D.measures[rows[row]]),
      show: (row) => el("span", { title: changeOf(row)?.method }, changeText(changeOf(row), D.measures[rows[row]])),
    });
    columns.push({
      title: "",
      hint: "Whether the change is better beyond its interval",
      text: true,
      value: (row) => verdict(changeOf(row), D.measures[rows[row]]),
      show: (row) => {
        const word = verdict(changeOf(row), D.measures[rows[row]]);
        return el("span", { class: `verdict ${word}` }, word);
      },
    });
  }
  return table({ caption: "Comparison of the systems", columns, rows: rows.length });
}

/** A row of `D.intervals`: both ends, how it was found, and the mean and how far the interval reaches as the terminal shows them. */
function intervalOf([, , , low, high, how, text, reach]) {
  return { low, high, how, text, reach };
}

/** A mean and half of its interval, or both ends of a skewed one, to the digits of the mean; where they come from on hover. */
function around(measure, value, interval) {
  if (!interval || typeof value !== "number" || interval.reach.length === 0) return measured(measure, value);
  const hint = `95 % interval: ${measured(measure, interval.low)} to ${measured(measure, interval.high)} (${interval.how})`;
  const large = Math.abs(value) >= 1e9;
  const shown = (text) => (large ? number(Number(text)) : minus(grouped(text)));
  const reach = interval.reach.map(shown);
  const spread = reach.length === 1 ? ` ± ${reach[0]}` : ` (${reach[0]} … ${reach[1]})`;
  return el("span", { title: hint }, shown(interval.text), el("span", { class: "unit" }, spread), measure.share ? `${THIN_SPACE}%` : "");
}

/** A measure's value over runs: the mean, or the word that all of them have. */
function valueOver(runs, m) {
  const words = runs.map((run) => run.values[m]).filter((value) => typeof value === "string");
  return words.length > 0 ? [...new Set(words)].join(", ") : mean(runs.map((run) => run.values[m]));
}

/** A measure's name, with what it means on hover. */
function named(measure) {
  const arrow = { lower: " ↓", higher: " ↑" }[measure.better] ?? "";
  return el("span", { title: `${measure.doc}${measure.better ? ` ${measure.better} is better.` : ""}` }, measure.name, el("span", { class: "unit" }, arrow));
}

/** The change in the first system's value, or in points of a share; `null` where there is nothing to compare with. */
function relative(change, measure) {
  if (!change) return null;
  if (measure.share) return change.difference;
  return change.baseline === 0 ? null : change.difference / change.baseline;
}

function changeText(change, measure) {
  if (change?.difference === 0) return "0";
  const by = relative(change, measure);
  if (by === null) return NONE;
  const unit = measure.share ? "pp" : "%";
  return `${signed(by)}${reachOf(change)}${THIN_SPACE}${unit}`;
}

/** A share as percent or points, with its sign unless it rounds to nothing. */
function signed(share) {
  const digits = Math.abs(share * 100).toFixed(1);
  return digits === "0.0" ? digits : `${share > 0 ? "+" : "−"}${digits}`;
}

/** ` ± half` where the interval has the change in its middle, both ends where it does not, nothing without one. */
function reachOf({ reach }) {
  if (reach.length === 0) return "";
  return reach.length === 1 ? ` ± ${reach[0]}` : ` (${reach[0]} … ${reach[1]})`;
}

/** `better`, `worse` or `other` where the interval leaves no doubt; `open` where it does; nothing without an interval. */
function verdict(change, measure) {
  if (!change) return "";
  if (change.difference === 0 && (change.low === null || change.low === change.high)) return "same";
  if (change.low === null) return "";
  if (change.low <= 0 && change.high >= 0) return "open";
  if (!measure.better) return "other";
  return change.difference < 0 === (measure.better === "lower") ? "better" : "worse";
}

/** Curves of any measure over a swept number. */
function curves() {
  const numeric = D.keys.map((_, key) => D.points.every((point) => point[key] !== "" && Number.isFinite(Number(point[key]))));
  const values = D.keys.map((_, key) => [...new Set(D.points.map((point) => point[key]))]);
  const across = D.keys.map((_, key) => key).filter((key) => numeric[key] && values[key].length > 1);
  if (across.length === 0) return null;
  const usable = D.measures.map((_, m) => m).filter((m) => D.runs.some((run) => typeof run.values[m] === "number"));
  const leading = ["slo_attainment", "mean_ttft_ms"].map((name) => usable.findIndex((m) => D.measures[m].name === name)).find((at) => at >= 0) ?? 0;
  const view = { x: across[0], y: usable[leading], fixed: values.map((all) => all[0]) };
  const holder = el("div", { id: "curves" });
  const controls = el("div", { class: "controls" });

  function fill() {
    controls.replaceChildren(
      choice("Over", across.map((key) => D.keys[key]), across.indexOf(view.x), (index) => ((view.x = across[index]), fill())),
      choice("Show", usable.map((m) => D.measures[m].name), usable.indexOf(view.y), (index) => ((view.y = usable[index]), fill()), { id: "curve-measure" }),
      ...D.keys.flatMap((key, at) =>
        at === view.x || values[at].length < 2 ? [] : [choice(`${key} =`, values[at], values[at].indexOf(view.fixed[at]), (index) => ((view.fixed[at] = values[at][index]), fill()))],
      ),
    );
    const measure = D.measures[view.y];
    const kept = D.runs.filter((run) => D.keys.every((_, at) => at === view.x || D.points[run.point][at] === view.fixed[at]));
    const scale = measure.share ? 100 : 1;
    const known = new Map(D.intervals.filter((row) => row[2] === view.y).map((row) => [`${row[0]} ${row[1]}`, intervalOf(row)]));
    const found = new Set();
    const series = D.systems.map((system, index) => {
      const byX = new Map();
      const pointsAt = new Map();
      for (const run of kept.filter((run) => run.system === index && typeof run.values[view.y] === "number")) {
        const x = Number(D.points[run.point][view.x]);
        byX.set(x, [...(byX.get(x) ?? []), run.values[view.y] * scale]);
        pointsAt.set(x, (pointsAt.get(x) ?? new Set()).add(run.point));
      }
      const x = [...byX.keys()].sort((a, b) => a - b);
      const y = x.map((at) => mean(byX.get(at)));
      // An interval of one point; where several keys vary together, several may stand at the same x, and there is none of all.
      const intervals = x.map((at) => (pointsAt.get(at).size === 1 ? known.get(`${[...pointsAt.get(at)][0]} ${index}`) : undefined));
      intervals.forEach((interval) => interval && found.add(interval.how.split(",")[0]));
      const floor = y.every((value) => value >= 0) ? 0 : -Infinity;
      const ends = (of) => intervals.map((interval, i) => (interval ? Math.max(floor, interval[of] * scale) : y[i]));
      return { system: index, label: system.name, x, y, low: ends("low"), high: ends("high") };
    });
    const seeds = Math.max(...D.systems.map((_, index) => kept.filter((run) => run.system === index && run.point === kept[0].point).length));
    const bars = found.size === 0 ? "There are no intervals." : `Bars are 95 % intervals (${[...found].join(", ")}${found.has("seeds") ? `: Student's t over ${seeds}` : ": within the run of the one seed"}).`;
    const unit = unitOf(measure);
    holder.replaceChildren(
      chart({
        title: `${measure.name} over ${D.keys[view.x]}`,
        x: { title: D.keys[view.x], unit: D.keys[view.x].endsWith("rate") ? "req/s" : "", show: number },
        y: { title: measure.name, unit, show: (y) => `${number(y)}${unit ? THIN_SPACE + unit : ""}`, ...(measure.share ? { low: 0, high: 100 } : {}) },
        series,
        marks: true,
      }),
      el("p", { class: "note" }, `${measure.doc} Points are means over seeds. ${bars}`),
    );
  }
  fill();
  return el("div", {}, controls, holder);
}
