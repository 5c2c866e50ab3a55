// Curves that answer to the pointer and to arrow keys.

const PLOT = { width: 560, height: 300, left: 58, right: 14, top: 22, bottom: 44 };

/**
 * A chart of one curve per system.
 * @param {object} spec
 * @param {string} spec.title its name, for those who cannot see it
 * @param {{title: string, unit: string, show: (x: number) => string}} spec.x
 * @param {{title: string, unit: string, show: (y: number) => string, low?: number, high?: number}} spec.y
 * @param {{system: number, label: string, x: number[], y: number[], low?: number[], high?: number[]}[]} spec.series sorted by x;
 *   `low` and `high` are drawn as bars
 * @param {{x: number, label: string}[]} [spec.limits] upright lines
 * @param {boolean} [spec.log] whether x is logarithmic
 * @param {boolean} [spec.marks] whether points are marked: they were simulated, and lines only join them
 * @param {boolean} [spec.steps] whether y holds until the next x
 */
function chart(spec) {
  const series = spec.series.filter((curve) => curve.x.length > 0);
  const all = series.flatMap((curve) => [curve.x[0], curve.x[curve.x.length - 1]]).concat((spec.limits ?? []).map((limit) => limit.x));
  if (series.length === 0) return el("p", { class: "note" }, `${spec.title}: no data.`);
  const positive = series.flatMap((curve) => curve.x.filter((x) => x > 0).slice(0, 1));
  const log = spec.log && positive.length > 0;
  let low = log ? Math.min(...positive) : Math.min(0, ...all);
  let high = Math.max(...all);
  if (!(high > low)) [low, high] = log ? [low / 2, low * 2] : [low, low + 1];
  const tops = series.flatMap((curve) => [...curve.y, ...(curve.high ?? [])]).filter((y) => !Number.isNaN(y));
  const bottoms = series.flatMap((curve) => [...curve.y, ...(curve.low ?? [])]).filter((y) => !Number.isNaN(y));
  const yLow = spec.y.low ?? Math.min(0, ...bottoms);
  const yTop = spec.y.high ?? (Math.max(...tops, yLow) * 1.05 || 1);
  const yHigh = yTop > yLow ? yTop : yLow + 1;
  const right = PLOT.width - PLOT.right;
  const bottom = PLOT.height - PLOT.bottom;
  const along = (x) => (log ? Math.log(Math.max(x, low) / low) / Math.log(high / low) : (x - low) / (high - low));
  const px = (x) => PLOT.left + along(x) * (right - PLOT.left);
  const py = (y) => bottom - ((y - yLow) / (yHigh - yLow)) * (bottom - PLOT.top);
  const back = (pixel) => {
    const share = (pixel - PLOT.left) / (right - PLOT.left);
    return log ? low * (high / low) ** share : low + share * (high - low);
  };

  const xTicks = log ? logTicks(low, high) : ticks(low, high, 6);
  const yTicks = ticks(yLow, yHigh, 5);
  const cross = svg("line", { class: "cross", y1: PLOT.top, y2: bottom, visibility: "hidden" });
  const dots = series.map((curve) => svg("circle", { r: 3.5, class: `dot f${curve.system % 8}`, visibility: "hidden" }));
  const picture = svg(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${PLOT.width} ${PLOT.height}`,
      role: "img",
      tabindex: "0",
      "aria-label": `${spec.title}. Arrow keys move along ${spec.x.title}.`,
      pointermove: (event) => hover(event),
      pointerdown: (event) => hover(event),
      pointerleave: leave,
      blur: leave,
      keydown: (event) => step(event),
    },
    yTicks.map((tick) => [
      svg("line", { class: "grid", x1: PLOT.left, x2: right, y1: py(tick), y2: py(tick) }),
      svg("text", { class: "tick", x: PLOT.left - 7, y: py(tick) + 4, "text-anchor": "end" }, spec.y.tick ? spec.y.tick(tick) : tickText(tick)),
    ]),
    xTicks.map((tick) => [
      svg("line", { class: "grid", x1: px(tick), x2: px(tick), y1: PLOT.top, y2: bottom }),
      svg("text", { class: "tick", x: px(tick), y: bottom + 16, "text-anchor": "middle" }, tickText(tick)),
    ]),
    svg("text", { class: "axis", x: (PLOT.left + right) / 2, y: PLOT.height - 8, "text-anchor": "middle" }, titled(spec.x)),
    svg("text", { class: "axis", transform: `translate(13 ${(PLOT.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, titled(spec.y)),
    (spec.limits ?? []).map((limit) => [
      svg("line", { class: "limit", x1: px(limit.x), x2: px(limit.x), y1: PLOT.top, y2: bottom }),
      svg("text", { class: "tick", x: px(limit.x), y: PLOT.top - 7, "text-anchor": along(limit.x) > 0.85 ? "end" : "middle" }, limit.label),
    ]),
    series.map((curve) => curveOf(curve)),
    cross,
    dots,
  );

  function titled(axis) {
    return axis.unit ? `${axis.title} (${axis.unit})` : axis.title;
  }

  function curveOf(curve) {
    let path = "";
    curve.x.forEach((x, i) => {
      if (Number.isNaN(curve.y[i])) return;
      const point = `${px(x).toFixed(1)} ${py(curve.y[i]).toFixed(1)}`;
      path += path === "" ? `M${point}` : spec.steps ? `H${px(x).toFixed(1)}V${py(curve.y[i]).toFixed(1)}` : `L${point}`;
    });
    const bars = (curve.low ?? []).map((below, i) =>
      curve.high[i] > below ? svg("line", { class: `range s${curve.system % 8}`, x1: px(curve.x[i]), x2: px(curve.x[i]), y1: py(below), y2: py(curve.high[i]) }) : null,
    );
    const marks = spec.marks ? curve.x.map((x, i) => (Number.isNaN(curve.y[i]) ? null : svg("circle", { class: `mark f${curve.system % 8}`, cx: px(x), cy: py(curve.y[i]), r: 2.6 }))) : [];
    return [svg("path", { class: `series s${curve.system % 8}`, d: path }), bars, marks];
  }

  let at = null;

  /** Shows every curve's value at x, beside a point of the window. */
  function showAt(x, clientX, clientY) {
    at = x;
    cross.setAttribute("x1", px(x));
    cross.setAttribute("x2", px(x));
    cross.setAttribute("visibility", "visible");
    const lines = series.map((curve, index) => {
      const i = spec.steps ? lowerBound(curve.x, x * (1 + 1e-12) + 1e-300) - 1 : nearest(curve.x, x);
      const known = i >= 0 && !Number.isNaN(curve.y[i]);
      dots[index].setAttribute("visibility", known ? "visible" : "hidden");
      if (!known) return el("span", {}, swatch(curve.system), `${curve.label}: ${spec.steps ? spec.y.show(0) : NONE}`);
      dots[index].setAttribute("cx", spec.steps ? px(x) : px(curve.x[i]));
      dots[index].setAttribute("cy", py(curve.y[i]));
      const range = curve.low && curve.high[i] > curve.low[i] ? ` (${spec.y.show(curve.low[i])} … ${spec.y.show(curve.high[i])})` : "";
      const where = spec.steps ? "" : ` at ${spec.x.show(curve.x[i])}`;
      return el("span", {}, swatch(curve.system), `${curve.label}: ${spec.y.show(curve.y[i])}${range}${where}`);
    });
    tip.show(clientX, clientY, el("b", {}, `${spec.x.title} ${spec.steps ? "≤ " : ""}${spec.x.show(x)}`), ...lines);
  }

  function hover(event) {
    const box = picture.getBoundingClientRect();
    const pixel = ((event.clientX - box.left) / box.width) * PLOT.width;
    if (pixel < PLOT.left - 2 || pixel > right + 2) return leave();
    showAt(back(Math.min(right, Math.max(PLOT.left, pixel))), event.clientX, event.clientY);
  }

  function step(event) {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction) return event.key === "Escape" ? leave() : undefined;
    event.preventDefault();
    const pixel = at === null ? (PLOT.left + right) / 2 : px(at) + direction * (event.shiftKey ? 40 : 8);
    const x = back(Math.min(right, Math.max(PLOT.left, pixel)));
    const box = picture.getBoundingClientRect();
    showAt(x, box.left + (px(x) / PLOT.width) * box.width, box.top + box.height / 3);
  }

  function leave() {
    at = null;
    tip.hide();
    for (const node of [cross, ...dots]) node.setAttribute("visibility", "hidden");
  }

  const legend = el("ul", { class: "legend" }, series.map((curve) => el("li", {}, swatch(curve.system), curve.label)));
  return el("figure", { class: "plot" }, el("figcaption", {}, spec.title), picture, legend);
}
