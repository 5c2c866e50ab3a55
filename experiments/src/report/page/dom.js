// Elements, sections and controls.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element; `attributes` that are functions listen, `null` and `false` are left out. */
function make(namespace, tag, attributes, children) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const el = (tag, attributes, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => make(SVG, tag, attributes, children);

/** A section of the page with its entry in the navigation. */
function section(id, title, ...children) {
  return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), children);
}

/** A labelled choice; `changed` gets the index of what was chosen. */
function choice(label, options, chosen, changed, attributes) {
  const select = el(
    "select",
    { change: () => changed(select.selectedIndex), ...attributes },
    options.map((option, index) => el("option", { value: String(index), selected: index === chosen }, option)),
  );
  return el("label", { class: "choice" }, label, " ", select);
}

function button(label, clicked, attributes) {
  return el("button", { type: "button", click: clicked, ...attributes }, label);
}

/** Pairs of names and values. */
function facts(pairs, attributes) {
  return el("dl", { class: "facts", ...attributes }, pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** The short line in a system's colour and dash that stands before its name. */
function swatch(system) {
  return svg(
    "svg",
    { class: "swatch", viewBox: "0 0 26 8", "aria-hidden": "true" },
    svg("line", { x1: 0, y1: 4, x2: 26, y2: 4, class: `series s${system % 8}` }),
  );
}

/** The box that follows the pointer; one for the page. */
const tip = {
  box: el("div", { id: "tip", role: "status", hidden: true }),
  /** Shows lines of text, or elements, beside a point of the window. */
  show(x, y, ...lines) {
    this.box.replaceChildren(...lines.map((line) => el("div", {}, line)));
    this.box.hidden = false;
    const { width, height } = this.box.getBoundingClientRect();
    const left = x + 14 + width > window.innerWidth ? x - 14 - width : x + 14;
    const top = y + 14 + height > window.innerHeight ? y - 14 - height : y + 14;
    this.box.style.left = `${Math.max(4, left)}px`;
    this.box.style.top = `${Math.max(4, top)}px`;
  },
  hide() {
    this.box.hidden = true;
  },
};

/** A colour of the style sheet. */
function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Calls `paint` when what was drawn on a canvas has become wrong: another width, another scheme of colours, paper. */
function redrawn(node, paint) {
  // In a frame of its own: an observer must not change the size of what it observes.
  const redraw = () => requestAnimationFrame(paint);
  new ResizeObserver(redraw).observe(node);
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    window.matchMedia(query).addEventListener("change", redraw);
  }
}
