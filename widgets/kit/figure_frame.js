// What every figure on a page is: the drawing, and its finding in words below, which a screen reader is told.
// Stands before the script of the views that fill it.

const FRAME = `
.qtha-figure .qtha-drawing { overflow-x: auto; overflow-y: hidden; }
.qtha-figure :is(img, .qtha-drawing > svg:only-child) { max-width: 100%; height: auto; }
.qtha-figure p { margin: 2px; font-size: 12px; line-height: 1.35; color: var(--jp-ui-font-color1, #333); overflow-wrap: anywhere; }
.qtha-figure .modebar-btn path { fill: var(--jp-ui-font-color2, #666) !important; }`;

class Frame {
  constructor(el) {
    this.root = Object.assign(document.createElement("div"), { className: "qtha-figure" });
    const style = Object.assign(document.createElement("style"), { textContent: FRAME });
    this.plot = Object.assign(document.createElement("div"), { className: "qtha-drawing" });
    this.plot.setAttribute("role", "figure");
    this.caption = Object.assign(document.createElement("p"), { className: "qtha-text" });
    this.caption.setAttribute("aria-live", "polite");
    this.root.append(style, this.plot, this.caption);
    el.append(this.root);
  }

  describe(alt) {
    this.plot.setAttribute("aria-label", alt);
    if (this.caption.textContent !== alt) this.caption.textContent = alt;
  }

  count() {
    this.root.dataset.drawings = Number(this.root.dataset.drawings ?? 0) + 1;
  }
}
