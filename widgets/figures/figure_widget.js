// A plotly figure on the page: drawn anew with each change, lengthened by new points, read by screen readers.
// The other half is figure_widget.py; the loader of plotly.js (kit/plotly.js) stands before this file.

const AGAIN = 5_000; // milliseconds until plotly.js is requested again
const SCALE = 0.6, SHIFT = 0.2; // of one key, as shares of the range shown
const KEYS = {
  "+": [SCALE, 0], "=": [SCALE, 0], "-": [1 / SCALE, 0], ArrowLeft: [1, -SHIFT], ArrowRight: [1, SHIFT],
};

// Add new points to the lines of a model; without the points before them the whole figure is requested.
function lengthen(model, parts) {
  const { data } = model.get("drawing");
  if (parts.some(([number, start]) => data[number]?.x?.length !== start)) return model.send({ kind: "whole" });
  for (const [number, , x, y] of parts) {
    data[number].x = [...data[number].x, ...x];
    data[number].y = [...data[number].y, ...y];
  }
}

// The new drawing with every equal part of the one before, for which plotly computes nothing.
function share(before, now) {
  if (!now || !before || typeof now !== "object" || typeof before !== "object") return now;
  if (Array.isArray(now) !== Array.isArray(before)) return now;
  const merged = Array.isArray(now) ? [] : {};
  let same = Object.keys(now).length === Object.keys(before).length;
  for (const key of Object.keys(now)) {
    merged[key] = share(before[key], now[key]);
    same &&= merged[key] === before[key];
  }
  return same ? before : merged;
}

// Copies of objects, since plotly writes into them; lists of numbers and texts stay as they are.
function copy(value) {
  if (!value || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.some((entry) => typeof entry === "object") ? value.map(copy) : value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, copy(entry)]));
}

// The change of a layout by a key: + and - zoom along x, the arrows move along x, 0 shows all.
function zoomed(key, layout) {
  const axes = Object.keys(layout).filter((name) => /^[xy]axis/.test(name) && layout[name].range);
  if (key === "0") return Object.fromEntries(axes.map((name) => [`${name}.autorange`, true]));
  if (!KEYS[key]) return undefined;
  const [scale, shift] = KEYS[key];
  return Object.fromEntries(axes.filter((name) => name[0] === "x").map((name) => {
    const [low, high] = layout[name].range;
    const middle = (low + high) / 2 + shift * (high - low), half = (scale * (high - low)) / 2;
    return [`${name}.range`, [middle - half, middle + half]];
  }));
}

// Name the handles of sliders by their labels for a screen reader, which ipywidgets does not.
function nameSliders() {
  const handles = document.querySelectorAll(".widget-slider .noUi-handle:not([aria-label])");
  handles.forEach((handle) => handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector("label").textContent));
}

class View extends Redrawn {
  constructor(model, el) {
    super();
    this.model = model;
    this.root = Object.assign(document.createElement("div"), { className: "qtha-figure qtha-plot" });
    this.plot = Object.assign(document.createElement("div"), { className: "qtha-drawing", tabIndex: 0 });
    this.caption = Object.assign(document.createElement("p"), { className: "qtha-text" });
    this.plot.setAttribute("role", "figure");
    this.plot.setAttribute("aria-keyshortcuts", "+ - ArrowLeft ArrowRight 0");
    this.plot.dataset.lmSuppressShortcuts = "true"; // otherwise JupyterLab takes the arrows
    this.plot.addEventListener("keydown", (event) => this.press(event));
    this.caption.setAttribute("aria-live", "polite");
    this.root.append(this.plot, this.caption);
    el.append(this.root);
    this.changed = () => this.schedule();
    this.described = () => this.describe();
    model.on("change:drawing", this.changed);
    model.on("msg:custom", this.changed);
    model.on("change:alt", this.described);
    this.resized = new ResizeObserver(() => { if (this.root.clientWidth !== this.width) this.schedule(); });
    this.resized.observe(this.root);
    this.describe();
    this.ask();
    sayLate(this);
    shared().ready.then((plotly) => { this.plotly = plotly; this.schedule(); });
  }

  ask() {
    if (shared().source) return;
    request((question) => this.model.send(question));
    this.timer = setTimeout(() => this.ask(), AGAIN);
  }

  describe() {
    const alt = this.model.get("alt");
    this.plot.setAttribute("aria-label", alt);
    if (this.caption.textContent !== alt) this.caption.textContent = alt;
  }

  async redraw(width) {
    const { data: traces, ...rest } = this.model.get("drawing");
    const now = share(this.shown, { ...rest, data: traces.map((trace) => ({ ...trace })) }); // `lengthen` writes into them
    if (now === this.shown && width === this.width) return;
    [this.shown, this.width] = [now, width];
    const { data, layout, config } = copy(now);
    if (!this.plot.on) this.plot.replaceChildren();
    layout.height = heightIn(this.root, layout.height ?? 360);
    this.plot.style.height = `${layout.height}px`;
    await this.plotly.react(this.plot, scaled(data), { ...layout, width: layout.width ?? width }, config);
    if (!this.listening) this.listen();
    nameSliders();
    this.root.dataset.drawings = Number(this.root.dataset.drawings ?? 0) + 1;
  }

  press(event) {
    if (!this.plot.on || event.ctrlKey || event.metaKey || event.altKey) return;
    const change = zoomed(event.key, this.plot._fullLayout);
    if (!change) return;
    event.preventDefault();
    event.stopPropagation();
    this.plotly.relayout(this.plot, change);
  }

  // Send the boxes that a user draws, and the ids of the points inside.
  listen() {
    this.listening = true;
    let touched = false; // plotly also reports selections that a new drawing removed
    for (const name of ["pointerdown", "mousedown"]) this.plot.addEventListener(name, () => { touched = true; }, true);
    const pick = (event) => {
      if (!touched) return;
      touched = false;
      const boxes = (event?.selections ?? []).map(({ x0, x1, y0, y1 }) =>
        [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)]);
      this.model.set("brush", { boxes, ids: [...new Set((event?.points ?? []).map((point) => point.customdata))] });
      this.model.save_changes();
    };
    this.plot.on("plotly_selected", pick);
    this.plot.on("plotly_deselect", () => pick());
  }

  close() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.drawing);
    this.resized.disconnect();
    this.model.off("change:drawing", this.changed);
    this.model.off("msg:custom", this.changed);
    this.model.off("change:alt", this.described);
    this.plotly?.purge(this.plot);
  }
}

export default {
  initialize({ model }) {
    model.on("msg:custom", (content, buffers) => {
      if (content.kind === "script") evaluate(buffers[0]);
      if (content.kind === "append") lengthen(model, content.parts);
    });
  },
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  },
};
