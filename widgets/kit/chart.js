// A plotly chart on the page: keeps the points that came, asks for those it lacks, draws what can be seen.
// The other half is chart.py. Every view of a chart speaks for itself; one plotly.js serves them all.

const FIRST_WAIT = 2_000; // until a question without an answer is asked again; doubled each time
const LONGEST_WAIT = 60_000;
const QUIET = 10_000; // after so long without a word of a live chart the page asks whether it lacks any
const NARROW = 640; // pixels; below, panels side by side cannot be read
const BETWEEN = 80; // pixels between panels side by side, for the labels of the right one
const STYLE = `
.qtha-chart .main-svg text, .qtha-chart .legendtext { fill: var(--jp-ui-font-color1, #444) !important; }
.qtha-chart .modebar-btn path { fill: var(--jp-ui-font-color2, #666) !important; }
.qtha-chart .modebar-btn.active path, .qtha-chart .modebar-btn:hover path { fill: var(--jp-ui-font-color0, #000) !important; }
.qtha-chart img { max-width: 100%; }
.qtha-chart > [role=figure]:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.qtha-chart p { margin: 4px 2px; font-size: 12px; line-height: 1.3; color: var(--jp-ui-font-color1, #333); overflow-wrap: anywhere; }`;

// ---- points -----------------------------------------------------------------------------------------

class Curves {
  begin(version, count) {
    this.version = version;
    this.all = Array.from({ length: count }, () => ({ x: [], y: [], end: 0 }));
  }

  get counts() { return this.all.map((curve) => curve.end); }

  // Take in the parts of a message that continue what is here; whether nothing is missing then.
  accept({ version, counts, parts }, buffer) {
    if (version !== this.version) return false;
    const bytes = buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
    const numbers = new Float64Array(bytes);
    let at = 0;
    for (const [number, start, end, count] of parts) {
      const curve = this.all[number];
      if (start === 0 && end > curve.end) Object.assign(curve, { x: [], y: [], end: 0 });
      if (start === curve.end) {
        for (let i = at; i < at + count; i++) curve.x.push(numbers[i]);
        for (let i = at + count; i < at + 2 * count; i++) curve.y.push(numbers[i]);
        curve.end = end;
      }
      at += 2 * count;
    }
    return counts.every((count, i) => this.all[i].end >= count);
  }
}

// The numbers of the points to draw: of each stretch as narrow as half a pixel the lowest and the highest.
function seen(y, first, last, most) {
  const picked = [];
  if (last - first <= most) {
    for (let i = first; i < last; i++) picked.push(i);
    return picked;
  }
  const stretches = Math.max(1, Math.floor(most / 2));
  for (let s = 0; s < stretches; s++) {
    const start = first + Math.floor((s * (last - first)) / stretches);
    const stop = first + Math.floor(((s + 1) * (last - first)) / stretches);
    let low = start, high = start;
    for (let i = start; i < stop; i++) {
      if (y[i] < y[low]) low = i;
      if (y[i] > y[high]) high = i;
    }
    picked.push(Math.min(low, high));
    if (low !== high) picked.push(Math.max(low, high));
  }
  if (picked.at(-1) !== last - 1) picked.push(last - 1);
  return picked;
}

function position(x, value) {
  let low = 0, high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

// Fine where the axis shows it, coarse on both sides of that.
function thin({ x, y }, [from, to], most) {
  const first = Math.max(0, position(x, from) - 1);
  const last = Math.min(x.length, position(x, to) + 2);
  const picked = [
    ...seen(y, 0, first, 200), ...seen(y, first, last, most), ...seen(y, last, x.length, 200),
  ];
  return { x: picked.map((i) => x[i]), y: picked.map((i) => y[i]) };
}

// Two panels side by side as far apart as the labels between them need.
function apart({ margin = {}, xaxis, xaxis2 }, width) {
  if (!xaxis?.domain || !xaxis2?.domain) return;
  const gap = BETWEEN / Math.max(1, width - (margin.l ?? 0) - (margin.r ?? 0));
  if (gap <= xaxis2.domain[0] - xaxis.domain[1] || gap > 0.6) return;
  xaxis.domain = [0, (1 - gap) / 2];
  xaxis2.domain = [(1 + gap) / 2, 1];
}

// ---- one view ---------------------------------------------------------------------------------------

class View extends Redrawn {
  constructor(model, el) {
    super();
    this.model = model;
    this.id = Math.random().toString(36).slice(2);
    this.curves = new Curves();
    this.wait = FIRST_WAIT;
    this.build(el);
    this.heard = (content, buffers) => this.hear(content, buffers);
    this.renewed = () => { this.begin(model.get("figure")); };
    this.told = () => this.tell(model.get("alt"));
    this.awake = () => { if (!document.hidden && !this.pending) this.ask(); };
    model.on("msg:custom", this.heard);
    model.on("change:figure", this.renewed);
    model.on("change:alt", this.told);
    document.addEventListener("visibilitychange", this.awake);
    this.begin(model.get("figure"));
    this.tell(model.get("alt"));
    this.ask();
    sayLate(this);
    shared().ready.then((plotly) => { this.plotly = plotly; this.schedule(); });
  }

  build(el) {
    this.root = Object.assign(document.createElement("div"), { className: "qtha-chart" });
    const style = Object.assign(document.createElement("style"), { textContent: STYLE });
    this.plot = document.createElement("div");
    this.plot.setAttribute("role", "figure"); // its tools can be focused, which an image's parts cannot
    reachable(this.plot);
    this.plot.addEventListener("keydown", (event) => this.press(event));
    this.caption = document.createElement("p");
    this.caption.setAttribute("aria-live", "polite");
    this.root.append(style, this.plot, this.caption);
    el.append(this.root);
    this.resized = new ResizeObserver(() => this.schedule());
    this.resized.observe(this.root);
    this.showStill();
  }

  // What stands here until plotly.js has come, or for good where no kernel answers.
  showStill() {
    const svg = this.model.get("still");
    if (!svg) return;
    const url = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    this.plot.replaceChildren(Object.assign(document.createElement("img"), { src: url, alt: "" }));
  }

  begin(figure) {
    if (figure.version === this.curves.version) return;
    this.figure = figure;
    this.curves.begin(figure.version, figure.data.length);
    this.schedule();
  }

  tell(alt) {
    this.plot.setAttribute("aria-label", alt);
    if (this.caption.textContent !== alt) this.caption.textContent = alt;
  }

  // ---- conversation with the kernel

  ask() {
    clearTimeout(this.timer);
    const { version, counts } = this.curves;
    this.pending = true;
    this.send({ kind: "points", page: this.id, version, counts });
    request((question) => this.send(question));
    this.timer = setTimeout(() => this.ask(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  send(question) {
    try {
      this.model.send(question);
    } catch {
      // The kernel is gone: what was drawn stays, and the next question finds out whether it came back.
    }
  }

  hear(content, buffers) {
    if (content.kind === "script") { evaluate(buffers[0]); return; }
    if (content.figure) this.begin(content.figure);
    if (content.alt !== undefined) this.tell(content.alt);
    const whole = this.curves.accept(content, buffers[0]);
    if (content.page === this.id) this.pending = false;
    this.root.dataset.points = this.curves.counts.join(" ");
    this.schedule();
    if (this.pending) return;
    this.wait = FIRST_WAIT;
    clearTimeout(this.timer);
    const script = shared().source;
    if (!whole) this.ask();
    else if (!script) this.timer = setTimeout(() => this.ask(), FIRST_WAIT);
    else if (content.live) this.timer = setTimeout(() => this.ask(), QUIET);
  }

  // ---- drawing

  async redraw(width) {
    const { data } = this.figure;
    const first = !this.plot.on;
    if (first) this.plot.replaceChildren();
    const layout = this.layout(width);
    this.plot.style.height = `${layout.height}px`;
    const traces = data.map((trace, i) => ({ ...trace, ...this.points(trace, this.curves.all[i], width) }));
    await this.plotly.react(this.plot, scaled(traces), layout, TOOLBAR);
    if (first) this.plot.on("plotly_relayout", () => this.remember());
  }

  points(trace, curve, width) {
    const zoom = this.zoom[(trace.xaxis ?? "x").replace("x", "xaxis")];
    const most = trace.mode?.includes("markers") ? Math.max(100, width / 8) : 2 * width; // markers are wide
    return thin(curve, zoom ?? [-Infinity, Infinity], most);
  }

  layout(width) {
    const { layout: wide, narrow } = this.figure;
    const room = heightIn(this.root, narrow?.height ?? 0); // less than the panels need one above the other?
    const stacked = width < NARROW && room >= (narrow?.height ?? 0);
    const layout = structuredClone(stacked ? { ...wide, ...narrow } : wide); // plotly writes into it
    if (!stacked) apart(layout, width);
    const zoomed = Object.entries(this.zoom).map(([name, range]) => [name, { ...layout[name], range: [...range], autorange: false }]);
    const height = heightIn(this.root, layout.height ?? 360);
    return { ...layout, height, width, ...Object.fromEntries(zoomed) };
  }

  // What a person zoomed into, by axis; kept for the page, so that another view of this chart shows it too.
  get zoom() { return shared().zoom.get(this.zoomKey) ?? {}; }

  get zoomKey() { return `${this.figure.id} ${this.figure.layout.uirevision}`; }

  remember() {
    const axes = Object.entries(this.plot.layout).filter(([name, axis]) => /^[xy]axis/.test(name) && axis.autorange === false);
    shared().zoom.set(this.zoomKey, Object.fromEntries(axes.map(([name, axis]) => [name, [...axis.range]])));
    this.schedule();
  }

  press(event) {
    if (!this.plot.on || event.ctrlKey || event.metaKey || event.altKey) return;
    const news = change(event.key, this.plot.layout);
    if (!news) return;
    event.preventDefault();
    event.stopPropagation();
    this.plotly.relayout(this.plot, news);
  }

  close() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.drawing);
    this.resized.disconnect();
    document.removeEventListener("visibilitychange", this.awake);
    this.model.off("msg:custom", this.heard);
    this.model.off("change:figure", this.renewed);
    this.model.off("change:alt", this.told);
    this.plotly?.purge(this.plot);
  }
}

return {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  },
};
