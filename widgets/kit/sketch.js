// A curve of a few points that are dragged by pointer, or moved by the arrow keys. The other half is
// widgets/lessons/sketch.py.

const WIDTH = 420, HEIGHT = 220, LEFT = 56, BOTTOM = 36, TOP = 10, RIGHT = 12;
const STEPS = 40; // of an arrow key between the limits
const SVG = "http://www.w3.org/2000/svg";

function part(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

return {
  render({ model, el }) {
    const places = model.get("places"), [low, high] = model.get("limits"), labels = model.get("labels");
    const across = (k) => LEFT + ((k + 0.5) * (WIDTH - LEFT - RIGHT)) / places.length;
    const height = (value) => TOP + ((high - value) * (HEIGHT - TOP - BOTTOM)) / (high - low);
    const valueAt = (y) => Math.min(high, Math.max(low, high - ((y - TOP) * (high - low)) / (HEIGHT - TOP - BOTTOM)));
    const short = (value) => String(Number(value.toPrecision(3)));
    const ink = "var(--jp-ui-font-color1, #333)", color = "var(--jp-brand-color1, #1976d2)";
    const text = (x, y, words, more = {}) => part("text", { x, y, "font-size": 12, "text-anchor": "middle", fill: ink, ...more }, words);
    const line = part("polyline", { fill: "none", stroke: color, "stroke-width": 2 });
    const root = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, role: "group", "aria-label": `curve of ${labels[1]} over ${labels[0]}`, style: "max-width:100%;touch-action:none" },
      part("rect", { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM, fill: "none", stroke: ink, "stroke-width": 0.5 }),
      text(LEFT - 6, TOP + 10, short(high), { "text-anchor": "end" }), text(LEFT - 6, HEIGHT - BOTTOM, short(low), { "text-anchor": "end" }),
      text((WIDTH + LEFT) / 2, HEIGHT - 4, labels[0]), text(12, (HEIGHT - BOTTOM) / 2, labels[1], { transform: `rotate(-90 12 ${(HEIGHT - BOTTOM) / 2})` }),
      ...places.map((place, k) => text(across(k), HEIGHT - BOTTOM + 15, short(place))), line);
    const move = (k, value) => {
      const values = [...model.get("values")];
      values[k] = Math.min(high, Math.max(low, value));
      model.set("values", values);
      model.save_changes();
      draw();
    };
    const points = places.map((place, k) => {
      const point = part("circle", { r: 8, cx: across(k), fill: color, tabindex: 0, role: "slider", "aria-label": `${labels[1]} at ${labels[0]} ${short(place)}`, "aria-valuemin": low, "aria-valuemax": high, style: "cursor:ns-resize" });
      point.dataset.lmSuppressShortcuts = "true";
      point.addEventListener("pointerdown", (event) => { point.setPointerCapture(event.pointerId); point.focus(); });
      point.addEventListener("pointermove", (event) => {
        if (!point.hasPointerCapture(event.pointerId)) return;
        const box = root.getBoundingClientRect();
        move(k, valueAt(((event.clientY - box.top) * HEIGHT) / box.height));
      });
      point.addEventListener("keydown", (event) => {
        const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 }[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        move(k, model.get("values")[k] + (step * (high - low)) / STEPS);
      });
      root.append(point);
      return point;
    });
    const draw = () => {
      const values = model.get("values");
      line.setAttribute("points", values.map((value, k) => `${across(k)},${height(value)}`).join(" "));
      points.forEach((point, k) => {
        point.setAttribute("cy", height(values[k]));
        point.setAttribute("aria-valuenow", short(values[k]));
      });
    };
    model.on("change:values", draw);
    el.append(root);
    draw();
    return () => model.off("change:values", draw);
  },
};
