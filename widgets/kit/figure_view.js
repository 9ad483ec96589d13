// A figure on the page, drawn again whenever the kernel has another; only the newest is ever drawn.
// The other half is figure_view.py; the loader of plotly.js and figure_frame.js stand before this file.

const RETRY = 3_000; // until plotly.js is asked for again

// A drawing with every part of the one before that is the same, so that plotly does only what has changed.
function share(before, now) {
  if (!now || !before || typeof now !== "object" || typeof before !== "object") return now;
  if (Array.isArray(now) !== Array.isArray(before)) return now;
  const shared = Array.isArray(now) ? [] : {};
  let same = Object.keys(now).length === Object.keys(before).length;
  for (const key of Object.keys(now)) {
    shared[key] = share(before[key], now[key]);
    same &&= shared[key] === before[key];
  }
  return same ? before : shared;
}

// Whether two drawings look the same: they differ, if at all, in what only a pointer over them shows.
const UNSEEN = new Set(["customdata", "hovertemplate", "hovertext", "meta"]);
function alike(one, other) {
  if (one === other) return true;
  if (!one || !other || typeof one !== "object" || typeof other !== "object") return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => UNSEEN.has(key) || alike(one[key], other[key]));
}

// Two drawings that differ, if in anything that is seen, in where upright lines stand.
function movedLines(one, other) {
  const [before, now] = [one, other].map((drawing) => drawing?.layout?.shapes);
  if (!before || before.length !== now?.length) return undefined;
  const whole = (drawing) => ({ ...drawing, layout: { ...drawing.layout, shapes: undefined } });
  if (!alike(whole(one), whole(other))) return undefined;
  const moved = now.map((shape, k) => [k, shape]).filter(([k, shape]) => shape !== before[k]);
  const still = (shape) => ({ ...shape, x0: 0, x1: 0 });
  const upright = ([k, shape]) => shape.type === "line" && shape.x0 === shape.x1 && typeof shape.x0 === "number"
    && /^x\d*$/.test(shape.xref) && alike(still(shape), still(before[k]));
  return moved.every(upright) ? moved : undefined;
}

// Copies of objects, since plotly writes into what it is given; lists of numbers and texts stay as they are.
function copy(value) {
  if (!value || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.some((entry) => typeof entry === "object") ? value.map(copy) : value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, copy(entry)]));
}

class FigureView extends Redrawn {
  constructor(model, el) {
    super();
    this.model = model;
    this.frame = new Frame(el);
    this.root = this.frame.root;
    this.plot = this.frame.plot;
    for (const name of ["pointerenter", "pointermove"]) {
      this.plot.addEventListener(name, () => { if (this.unseen) this.schedule(); });
    }
    this.heard = (content, buffers) => { if (content.kind === "script") evaluate(buffers[0]); };
    this.renewed = () => {
      this.unseen = this.shown && alike(this.shown, this.model.get("drawing"));
      if (!this.unseen) this.schedule(); // else when a pointer comes to see it
    };
    this.described = () => this.frame.describe(this.model.get("alt"));
    model.on("msg:custom", this.heard);
    model.on("change:drawing", this.renewed);
    model.on("change:alt", this.described);
    this.resized = new ResizeObserver(() => this.schedule());
    this.resized.observe(this.root);
    this.described();
    this.showStill();
    this.ask();
    sayLate(this);
    shared().ready.then((plotly) => { this.plotly = plotly; this.schedule(); });
  }

  ask() {
    if (shared().source) return;
    request((question) => {
      try {
        this.model.send(question);
      } catch {
        // No kernel: the still picture stays.
      }
    });
    this.timer = setTimeout(() => this.ask(), RETRY);
  }

  // What stands here until plotly.js has come, or for good where no kernel answers.
  showStill() {
    const svg = this.model.get("still");
    if (!svg) return;
    const url = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    this.plot.replaceChildren(Object.assign(document.createElement("img"), { src: url, alt: "" }));
  }

  // Moves upright lines where they stand, which takes plotly far longer: it looks through every trace for it.
  // It is told when a pointer comes, or with the next change.
  move(lines) {
    const axes = this.plot._fullLayout;
    const paths = lines.map(([k, { x0, xref }]) => {
      const [path, axis] = [this.plot.querySelector(`.shapelayer path[data-index="${k}"]`), axes?.[xref.replace("x", "xaxis")]];
      const route = path?.getAttribute("d").match(/^M[^,]+,([^L]+)L[^,]+,([^LZ]+)$/);
      const place = axis?.type === "linear" ? axis._offset + axis.l2p(x0) : NaN;
      return Number.isFinite(place) && route ? [path, `M${place},${route[1]}L${place},${route[2]}`] : undefined;
    });
    if (paths.includes(undefined)) return false;
    for (const [path, route] of paths) path.setAttribute("d", route);
    return true;
  }

  async redraw(room) {
    const now = share(this.shown, this.model.get("drawing"));
    const lines = this.room === room && !this.unseen && this.shown && movedLines(this.shown, now);
    this.shown = now;
    this.unseen = Boolean(lines?.length) && this.move(lines);
    if (this.unseen) return this.frame.count();
    this.room = room;
    const { data, layout } = copy(this.shown);
    if (!this.plot.on) this.plot.replaceChildren();
    layout.height = heightIn(this.root, layout.height ?? 360);
    this.plot.style.height = `${layout.height}px`;
    await this.plotly.react(this.plot, scaled(data), { ...layout, width: layout.width ?? room }, TOOLBAR);
    if (!this.brushable) this.listenToBrush();
    this.frame.count();
  }

  listenToBrush() {
    this.brushable = true;
    let touched = false; // plotly also tells of selections that another drawing took away
    this.plot.addEventListener("pointerdown", () => { touched = true; }, true);
    this.plot.addEventListener("mousedown", () => { touched = true; }, true);
    const pick = (event) => {
      if (!touched) return;
      touched = false;
      const boxes = (event?.selections ?? []).map(({ x0, x1, y0, y1 }) =>
        [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)]);
      const ids = (event?.points ?? []).map((point) => point.customdata);
      this.model.set("brush", { boxes, ids: [...new Set(ids)] });
      this.model.save_changes();
    };
    this.plot.on("plotly_selected", pick);
    this.plot.on("plotly_deselect", () => pick());
  }

  close() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.drawing);
    this.resized.disconnect();
    this.model.off("msg:custom", this.heard);
    this.model.off("change:drawing", this.renewed);
    this.model.off("change:alt", this.described);
    this.plotly?.purge(this.plot);
  }
}

return {
  render({ model, el }) {
    const view = new FigureView(model, el);
    return () => view.close();
  },
};
