// A plotly figure on the page: drawn anew with each change, lengthened by new points, read by screen readers.
// The other half is figure_widget.py.

const AGAIN = 5_000; // milliseconds until plotly.js is requested again
const SCALE = 0.6, SHIFT = 0.2; // of one key, as shares of the range shown
const KEYS = {
  "+": [SCALE, 0], "=": [SCALE, 0], "-": [1 / SCALE, 0], ArrowLeft: [1, -SHIFT], ArrowRight: [1, SHIFT],
};
const LATE = "This chart is still loading. Reload the page if it stays empty.";
const NARROW = 640; // pixels; below, panels side by side cannot be read

// plotly.js, once per page, from the kernel of the first view.

function shared() {
  if (!globalThis.__qthaPlotly) {
    const page = { asked: -Infinity };
    page.ready = new Promise((resolve) => { page.resolve = resolve; });
    globalThis.__qthaPlotly = page;
  }
  return globalThis.__qthaPlotly;
}

async function evaluate(packed) {
  const page = shared();
  if (page.source) return;
  page.source = packed;
  await load(packed).then(page.resolve, () => { page.source = undefined; }); // it is asked for again
}

async function load(packed) {
  const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const before = globalThis.Plotly;
  const tag = Object.assign(document.createElement("script"), { src: url });
  await new Promise((done, failed) => {
    Object.assign(tag, { onload: done, onerror: failed });
    document.head.append(tag);
  });
  const loaded = globalThis.Plotly;
  globalThis.Plotly = before;
  URL.revokeObjectURL(url);
  return loaded;
}

// Ask for plotly.js through a view's kernel, unless it is here or was asked for a moment ago.
function request(send) {
  const page = shared();
  if (page.source || Date.now() - page.asked < 2 * AGAIN) return;
  page.asked = Date.now();
  send({ kind: "script" });
}

// The height of a figure: its own, or what its place has room for.
function heightIn(root, own) {
  const wanted = getComputedStyle(root).getPropertyValue("--qtha-figure-height").trim();
  if (!wanted) return own;
  const probe = Object.assign(document.createElement("div"), { style: `position:absolute;visibility:hidden;height:${wanted}` });
  root.append(probe);
  const room = probe.offsetHeight;
  probe.remove();
  return Math.max(180, Math.min(own, room));
}

// Traces with one more, never seen, for each pair of axes on which no trace has a point. plotly scales an axis by
// its points; where it has none, a legend that moves the margins lets it draw the axis lines at NaN.
function scaled(traces) {
  const bare = (values) => Array.isArray(values) && !values.length;
  const empty = (trace) => bare(trace.x) || bare(trace.y);
  const axes = ({ xaxis = "x", yaxis = "y" }) => [xaxis, yaxis];
  const held = new Set(traces.filter((trace) => !empty(trace)).flatMap(axes));
  const lost = traces.map(axes).filter((pair) => !pair.every((axis) => held.has(axis)));
  const pairs = new Map(lost.map((pair) => [pair.join(), pair]));
  const unseen = { type: "scatter", x: [null], y: [null], showlegend: false, hoverinfo: "skip" };
  return [...traces, ...[...pairs.values()].map(([xaxis, yaxis]) => ({ ...unseen, xaxis, yaxis }))];
}

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

class View {
  constructor(model, el) {
    this.model = model;
    this.root = Object.assign(document.createElement("div"), { className: "qtha-figure qtha-plot" });
    this.plot = Object.assign(document.createElement("div"), { className: "qtha-drawing", tabIndex: 0 });
    this.caption = Object.assign(document.createElement("p"), { className: "qtha-text" });
    this.plot.setAttribute("role", "figure");
    this.plot.setAttribute("aria-keyshortcuts", "+ - ArrowLeft ArrowRight 0 f");
    this.plot.dataset.lmSuppressShortcuts = "true"; // otherwise JupyterLab takes the arrows
    this.plot.addEventListener("keydown", (event) => this.press(event));
    this.caption.setAttribute("aria-live", "polite");
    this.root.append(this.plot, this.caption);
    el.append(this.root);
    this.changed = (news) => (news?.kind === "bring" ? this.bring() : this.schedule());
    this.described = () => this.describe();
    model.on("change:drawing", this.changed);
    model.on("msg:custom", this.changed);
    model.on("change:alt", this.described);
    this.resized = new ResizeObserver(() => { if (this.root.clientWidth !== this.width) this.schedule(); });
    this.resized.observe(this.root);
    this.describe();
    this.ask();
    setTimeout(() => { if (!this.plotly && !this.plot.childElementCount) this.plot.textContent = LATE; }, 10_000);
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

  // Draw at the page's next frame, one drawing at a time, with the newest content then.
  schedule() {
    this.stale = true;
    if (this.plotly && !this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  async draw() {
    this.stale = false;
    try {
      if (this.root.clientWidth) await this.redraw(this.root.clientWidth);
    } finally {
      this.drawing = undefined;
      if (this.stale) this.schedule();
    }
  }

  async redraw(width) {
    const { data: traces, narrow, ...rest } = this.model.get("drawing");
    const now = share(this.shown, { ...rest, data: traces.map((trace) => ({ ...trace })) }); // `lengthen` writes into them
    if (now === this.shown && width === this.width) return;
    [this.shown, this.width] = [now, width];
    const { data, layout: wide, config } = copy(now);
    const stacked = narrow && width < NARROW && heightIn(this.root, narrow.height) >= narrow.height;
    const layout = stacked ? { ...wide, ...copy(narrow) } : wide;
    if (!this.plot.on) this.plot.replaceChildren();
    layout.height = heightIn(this.root, layout.height ?? 360);
    this.plot.style.height = `${layout.height}px`;
    await this.plotly.react(this.plot, scaled(data), { ...layout, width: layout.width ?? width }, config);
    if (!this.listening) this.listen();
    nameSliders();
    this.root.dataset.drawings = Number(this.root.dataset.drawings ?? 0) + 1;
  }

  // Keep the page around in sight for some seconds, while it still grows, until a user acts.
  bring() {
    const page = this.root.closest(".qtha-workbench") ?? this.root;
    const show = setInterval(() => page.scrollIntoView({ block: "nearest" }), 100);
    const end = () => clearInterval(show);
    setTimeout(end, 5_000);
    for (const hand of ["wheel", "pointerdown", "keydown"]) page.addEventListener(hand, end, { once: true });
  }

  press(event) {
    if (!this.plot.on || event.ctrlKey || event.metaKey || event.altKey) return;
    const change = zoomed(event.key, this.plot._fullLayout);
    if (!change && event.key !== "f") return;
    event.preventDefault();
    event.stopPropagation();
    if (change) return this.plotly.relayout(this.plot, change);
    this.model.set("alone", !this.model.get("alone"));
    this.model.save_changes();
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
    this.plot.on("plotly_relayout", () => { // the kernel may send finer points of the range
      const axes = Object.entries(this.plot.layout).filter(([name, axis]) => /^xaxis/.test(name) && axis.autorange === false);
      this.model.set("ranges", Object.fromEntries(axes.map(([name, axis]) => [name, [...axis.range]])));
      this.model.save_changes();
    });
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
