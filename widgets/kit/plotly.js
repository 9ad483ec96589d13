// plotly.js, once per page, from the kernel of the first view; it stands before the script of every view that draws.

function shared() {
  if (!globalThis.__qthaPlotly) {
    const page = { asked: -Infinity, zoom: new Map() };
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
  if (page.source || Date.now() - page.asked < 10_000) return;
  page.asked = Date.now();
  send({ kind: "script" });
}

// Say in an empty drawing, after ten seconds, that it is still loading.
function sayLate(view) {
  const words = "This chart is still loading. Reload the page if it stays empty.";
  setTimeout(() => { if (!view.plotly && !view.plot.childElementCount) view.plot.textContent = words; }, 10_000);
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

// What is drawn again and again: at the page's next frame, one drawing at a time, with what is newest then.
// A view that extends it has `root` and `plotly` and draws itself in `redraw(width)`.
class Redrawn {
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
}
