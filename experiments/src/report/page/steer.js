// Panning and zooming a canvas with a mouse, a wheel, fingers and keys.

/**
 * Lets `canvas` be steered. The wheel zooms once the canvas has the focus, or with Ctrl; else it scrolls the page.
 * @param {HTMLCanvasElement} canvas
 * @param {object} on what to do; places are in CSS pixels from the canvas's corner
 * @param {(x: number, y: number, event: PointerEvent) => void} on.hover
 * @param {() => void} on.leave
 * @param {(pixels: number) => void} on.pan
 * @param {(factor: number, x?: number) => void} on.zoom a factor below 1 goes closer
 * @param {() => void} on.whole
 * @param {(by: number) => void} on.walk
 * @param {(x: number, y: number) => void} on.click
 * @param {(x: number, y: number) => boolean} on.grab whether a drag that begins here scrolls the overview
 * @param {(x: number) => void} on.scroll
 */
function steer(canvas, on) {
  const pointers = new Map();
  let moved = 0;
  let scrolling = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = place(event);
    pointers.set(event.pointerId, x);
    canvas.setPointerCapture(event.pointerId);
    moved = 0;
    scrolling = on.grab(x, y);
    if (scrolling) on.scroll(x);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (before === undefined) return on.hover(x, y, event);
    on.leave();
    moved += Math.abs(x - before);
    if (scrolling) on.scroll(x);
    else if (pointers.size === 2) pinch(event.pointerId, before, x);
    else on.pan(x - before);
    pointers.set(event.pointerId, x);
  });
  const up = (event) => {
    const down = pointers.delete(event.pointerId);
    if (down && moved < 4 && !scrolling && event.type === "pointerup") {
      on.click(...place(event));
      on.hover(...place(event), event);
    }
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => on.leave());

  /** Two fingers: what lies under them stays under them. */
  function pinch(id, before, now) {
    const [other] = [...pointers].filter(([pointer]) => pointer !== id).map(([, x]) => x);
    const [old, wide] = [Math.abs(before - other), Math.abs(now - other)];
    if (old > 8 && wide > 8) on.zoom(old / wide, (now + other) / 2);
  }

  canvas.addEventListener(
    "wheel",
    (event) => {
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        return on.pan(-event.deltaX);
      }
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 24 : 1);
      on.zoom(Math.exp(Math.max(-240, Math.min(240, pixels)) / 400), place(event)[0]);
    },
    { passive: false },
  );
  canvas.addEventListener("dblclick", (event) => on.zoom(0.4, place(event)[0]));
  canvas.addEventListener("keydown", (event) => {
    const actions = {
      ArrowLeft: () => on.pan(80),
      ArrowRight: () => on.pan(-80),
      "+": () => on.zoom(0.6),
      "=": () => on.zoom(0.6),
      "-": () => on.zoom(1 / 0.6),
      0: on.whole,
      Home: on.whole,
      ",": () => on.walk(-1),
      ".": () => on.walk(1),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
}
