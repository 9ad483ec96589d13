// A picture under a pointer: made larger and moved about, and what its parts say, at once. Stands before picture_view.js.

const ZOOM = `
.qtha-figure:has(.qtha-zoom) { position: relative; width: fit-content; max-width: 100%; }
.qtha-zoom { position: absolute; top: 0; right: 0; display: flex; gap: 2px; opacity: 0; transition: opacity .15s; }
.qtha-figure:is(:hover, :focus-within) > .qtha-zoom { opacity: 1; }
.qtha-zoom > button { width: 28px; height: 28px; padding: 0; border: 1px solid var(--jp-border-color1, #bbb); border-radius: 4px;
  background: var(--jp-layout-color1, #fff); color: var(--jp-ui-font-color1, #333); font: 15px/1 sans-serif; cursor: pointer; }
.qtha-zoom > button:disabled { color: var(--jp-ui-font-color3, #999); cursor: default; }
.qtha-tip { position: fixed; z-index: 10000; pointer-events: none; white-space: pre; padding: 3px 7px; border-radius: 4px;
  font-size: 12px; line-height: 1.35; background: #222; color: #fff; }
.qtha-zoomed > svg { cursor: grab; touch-action: none; }`;
const STEP = 1.5, MOST = 12; // of one press, and of all

class Zoom {
  constructor(frame) {
    this.frame = frame;
    this.scale = 1;
    this.at = [0.5, 0.5]; // the middle of what is seen, as shares of the whole
    const style = Object.assign(document.createElement("style"), { textContent: ZOOM });
    this.bar = Object.assign(document.createElement("div"), { className: "qtha-zoom" });
    this.larger = this.button("+", "Zoom in", () => this.by(STEP));
    this.smaller = this.button("−", "Zoom out", () => this.by(1 / STEP));
    this.whole = this.button("⤢", "Whole figure", () => this.by(0));
    frame.root.append(style, this.bar);
    this.tip = Object.assign(document.createElement("div"), { className: "qtha-tip", hidden: true });
    document.body.append(this.tip);
    frame.plot.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.plot.addEventListener("pointerdown", (event) => this.drag(event));
    frame.plot.addEventListener("dblclick", () => this.by(0));
    frame.plot.addEventListener("pointermove", (event) => this.say(event));
    frame.plot.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.tell();
  }

  button(sign, name, press) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: sign, title: name });
    button.setAttribute("aria-label", name);
    button.addEventListener("click", press);
    this.bar.append(button);
    return button;
  }

  // Show what is seen of the picture as it is now; again after each drawing.
  apply() {
    const svg = this.frame.plot.querySelector("svg");
    const [w, h] = [svg.width.baseVal.value, svg.height.baseVal.value];
    const half = 0.5 / this.scale;
    this.at = this.at.map((share) => Math.min(1 - half, Math.max(half, share)));
    if (this.scale > 1 || svg.dataset.zoomed) {
      svg.dataset.zoomed = "1";
      svg.setAttribute("viewBox", [(this.at[0] - half) * w, (this.at[1] - half) * h, w / this.scale, h / this.scale].join(" "));
    }
    this.frame.plot.classList.toggle("qtha-zoomed", this.scale > 1);
  }

  by(factor) {
    this.scale = Math.min(MOST, Math.max(1, this.scale * factor));
    this.apply();
    this.tell();
  }

  tell() {
    this.larger.disabled = this.scale === MOST;
    this.smaller.disabled = this.whole.disabled = this.scale === 1;
  }

  // Where a pointer is, as shares of what is seen.
  share(event) {
    const box = this.frame.plot.querySelector("svg").getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // else the page scrolls
    event.preventDefault();
    const under = this.share(event).map((share, k) => this.at[k] + (share - 0.5) / this.scale);
    const before = this.scale;
    this.scale = Math.min(MOST, Math.max(1, this.scale * (event.deltaY < 0 ? STEP : 1 / STEP)));
    this.at = under.map((share, k) => share - (share - this.at[k]) * before / this.scale);
    this.by(1);
  }

  drag(event) {
    if (this.scale === 1 || event.button !== 0) return;
    event.preventDefault();
    const from = this.share(event), at = this.at, plot = this.frame.plot;
    const move = (to) => {
      this.at = this.share(to).map((share, k) => at[k] - (share - from[k]) / this.scale);
      this.apply();
    };
    const end = new AbortController();
    plot.setPointerCapture(event.pointerId);
    plot.addEventListener("pointermove", move, { signal: end.signal });
    for (const name of ["pointerup", "pointercancel"]) plot.addEventListener(name, () => end.abort(), { signal: end.signal });
  }

  // What lies under the pointer says its words at once; its title would say them after a second, and a second time.
  say(event) {
    const title = [...event.target.children ?? []].find((child) => child.tagName === "title");
    if (title) {
      event.target.dataset.tip = title.textContent;
      title.remove();
    }
    const words = event.target.dataset?.tip;
    this.tip.hidden = !words;
    if (!words) return;
    this.tip.textContent = words;
    const left = Math.min(event.clientX + 12, innerWidth - this.tip.offsetWidth - 4);
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${Math.max(4, event.clientY - this.tip.offsetHeight - 10)}px`;
  }

  close() {
    this.tip.remove();
  }
}
