// Points that answer to the pointer and to arrow keys.

/**
 * A chart of points.
 * @param {object} spec
 * @param {string} spec.title its name, for those who cannot see it
 * @param {{title: string, show: (x: number) => string}} spec.x
 * @param {{title: string, show: (y: number) => string}} spec.y
 * @param {{x: number, y: number, system: number, large: boolean, ringed: boolean, lines: any[], pick: () => void}[]} spec.points
 */
function scatter(spec) {
  const { points } = spec;
  if (points.length === 0) return el("p", { class: "note" }, `${spec.title}: no data.`);
  const axis = (of, from, to) => {
    const values = points.map(of);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const log = low > 0 && high >= 20 * low;
    if (log) [low, high] = [low / 1.2, high * 1.2];
    else {
      const margin = 0.06 * Math.max(high - low, 0.2 * Math.abs(high)) || 1;
      [low, high] = [Math.max(0, low - margin), high + margin];
    }
    const share = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
    return { at: (value) => from + share(value) * (to - from), ticks: log ? logTicks(low, high) : ticks(low, high, 5) };
  };
  const [right, bottom] = [PLOT.width - PLOT.right, PLOT.height - PLOT.bottom];
  const x = axis((point) => point.x, PLOT.left, right);
  const y = axis((point) => point.y, bottom, PLOT.top);
  // What matters is drawn last, so that nothing covers it.
  const order = points.map((_, index) => index).sort((a, b) => points[a].ringed - points[b].ringed || points[a].large - points[b].large || a - b);
  const byX = points.map((_, index) => index).sort((a, b) => points[a].x - points[b].x || points[a].y - points[b].y);
  const frame = svg("circle", { class: "halo", r: 8, visibility: "hidden" });
  let at = null;
  const picture = svg(
    "svg",
    {
      class: "chart scatter",
      viewBox: `0 0 ${PLOT.width} ${PLOT.height}`,
      role: "img",
      tabindex: "0",
      "aria-label": `${spec.title}. Arrow keys go from point to point, Enter picks one.`,
      pointermove: hover,
      click: (event) => (hover(event), at !== null && points[at].pick()),
      pointerleave: leave,
      blur: leave,
      keydown: key,
    },
    y.ticks.map((tick) => [
      svg("line", { class: "grid", x1: PLOT.left, x2: right, y1: y.at(tick), y2: y.at(tick) }),
      svg("text", { class: "tick", x: PLOT.left - 7, y: y.at(tick) + 4, "text-anchor": "end" }, tickText(tick)),
    ]),
    x.ticks.map((tick) => [
      svg("line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: PLOT.top, y2: bottom }),
      svg("text", { class: "tick", x: x.at(tick), y: bottom + 16, "text-anchor": "middle" }, tickText(tick)),
    ]),
    svg("text", { class: "axis", x: (PLOT.left + right) / 2, y: PLOT.height - 8, "text-anchor": "middle" }, spec.x.title),
    svg("text", { class: "axis", transform: `translate(13 ${(PLOT.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, spec.y.title),
    order.map((index) => {
      const point = points[index];
      const place = { cx: x.at(point.x).toFixed(1), cy: y.at(point.y).toFixed(1) };
      return [
        point.ringed ? svg("circle", { class: "ring", ...place, r: 9 }) : null,
        svg("circle", { class: `mark f${point.system % 8}`, ...place, r: point.large ? 5 : 2.6, "data-point": index }),
      ];
    }),
    frame,
  );

  function show(index, clientX, clientY) {
    at = index;
    frame.setAttribute("cx", x.at(points[index].x));
    frame.setAttribute("cy", y.at(points[index].y));
    frame.setAttribute("visibility", "visible");
    tip.show(clientX, clientY, ...points[index].lines);
  }

  function hover(event) {
    const box = picture.getBoundingClientRect();
    const [px, py] = [((event.clientX - box.left) / box.width) * PLOT.width, ((event.clientY - box.top) / box.height) * PLOT.height];
    let best = [200, null];
    points.forEach((point, index) => {
      const distance = (x.at(point.x) - px) ** 2 + (y.at(point.y) - py) ** 2;
      if (distance < best[0]) best = [distance, index];
    });
    if (best[1] === null) return leave();
    show(best[1], event.clientX, event.clientY);
  }

  function key(event) {
    if (event.key === "Enter" && at !== null) return points[at].pick();
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return event.key === "Escape" ? leave() : undefined;
    event.preventDefault();
    const place = at === null ? 0 : Math.min(points.length - 1, Math.max(0, byX.indexOf(at) + by));
    const box = picture.getBoundingClientRect();
    const point = points[byX[place]];
    show(byX[place], box.left + (x.at(point.x) / PLOT.width) * box.width, box.top + (y.at(point.y) / PLOT.height) * box.height);
  }

  function leave() {
    at = null;
    tip.hide();
    frame.setAttribute("visibility", "hidden");
  }

  return el("figure", { class: "plot" }, el("figcaption", {}, spec.title), picture);
}
