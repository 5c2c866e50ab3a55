// Tables that sort by any column.

/**
 * A table.
 * @param {object} spec
 * @param {string} spec.caption what it shows, for those who cannot see it
 * @param {{title: string, unit?: string, hint?: string, text?: boolean, value: (row: number) => any,
 *   show?: (row: number) => any}[]} spec.columns `value` is what rows are sorted by: a number, text, or `null`;
 *   `show` is what stands there, unless it is the value
 * @param {number} spec.rows how many rows there are
 * @param {number} [spec.page] how many of them are shown at a time
 * @param {{column: number, down: boolean}} [spec.sorted] the order in the beginning
 * @param {(row: number) => void} [spec.picked] makes rows something to pick
 * @returns {HTMLElement} with `filter(predicate)` to show some rows only
 */
function table(spec) {
  const { columns, rows } = spec;
  let sorted = spec.sorted ?? null;
  let predicate = null;
  let shown = spec.page ?? rows;
  const body = el("tbody");
  const headers = columns.map((column, index) =>
    el(
      "th",
      { scope: "col", class: column.text ? "text" : "number", title: column.hint },
      el("button", { type: "button", click: () => sortBy(index) }, column.title, column.unit ? el("span", { class: "unit" }, ` ${column.unit}`) : null),
    ),
  );
  const more = el("p", { class: "more" });
  const node = el(
    "div",
    { class: "table" },
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": spec.caption }, el("table", {}, el("caption", {}, spec.caption), el("thead", {}, el("tr", {}, headers)), body)),
    more,
  );

  function sortBy(index) {
    const down = sorted?.column === index ? !sorted.down : false;
    sorted = { column: index, down };
    fill();
  }

  /** Rows in their order: what has no value comes last, equals stay as they were. */
  function order() {
    let indices = Array.from({ length: rows }, (_, row) => row);
    if (predicate) indices = indices.filter(predicate);
    if (!sorted) return indices;
    const keys = indices.map((row) => columns[sorted.column].value(row));
    const places = indices.map((_, place) => place);
    const sign = sorted.down ? -1 : 1;
    const missing = (key) => key === null || key === undefined || Number.isNaN(key);
    places.sort((a, b) => {
      const [x, y] = [keys[a], keys[b]];
      if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
      const by = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return sign * by || a - b;
    });
    return places.map((place) => indices[place]);
  }

  function fill() {
    headers.forEach((header, index) => {
      const state = sorted?.column === index ? (sorted.down ? "descending" : "ascending") : null;
      if (state) header.setAttribute("aria-sort", state);
      else header.removeAttribute("aria-sort");
    });
    const indices = order();
    body.replaceChildren(...indices.slice(0, shown).map(line));
    const left = indices.length - shown;
    more.replaceChildren(
      ...(left > 0
        ? [`${count(shown)} of ${count(indices.length)} rows. `, button(`Show ${count(Math.min(left, spec.page))} more`, () => ((shown += spec.page), fill()))]
        : []),
    );
  }

  function line(row) {
    const cells = columns.map((column, index) => {
      const content = column.show ? column.show(row) : typeof column.value(row) === "number" ? count(column.value(row)) : (column.value(row) ?? NONE);
      return el(index === 0 && column.text ? "th" : "td", { class: column.text ? "text" : "number", scope: index === 0 && column.text ? "row" : null }, content);
    });
    if (!spec.picked) return el("tr", {}, cells);
    const pick = () => spec.picked(row);
    const key = (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), pick());
    return el("tr", { class: "pick", tabindex: "0", click: pick, keydown: key, "data-row": row }, cells);
  }

  node.filter = (wanted) => {
    predicate = wanted;
    shown = spec.page ?? rows;
    fill();
  };
  fill();
  return node;
}
