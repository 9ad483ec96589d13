// A chart by keyboard: + and - zoom along x around the middle, the arrows move along x, 0 shows all again.
// Stands before chart.js, which listens on the plot.

const ZOOM = 0.6, STEP = 0.2; // of what is shown
const KEYS = {
  "+": [ZOOM, 0], "=": [ZOOM, 0], "-": [1 / ZOOM, 0], ArrowLeft: [1, -STEP], ArrowRight: [1, STEP],
};

function reachable(plot) {
  plot.tabIndex = 0;
  plot.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrows
  plot.setAttribute("aria-keyshortcuts", "+ - ArrowLeft ArrowRight 0");
}

// What a key changes of a layout, as plotly's relayout takes it; nothing for any other key.
function change(key, layout) {
  const axes = Object.keys(layout).filter((name) => /^[xy]axis/.test(name) && layout[name].range); // those drawn
  if (key === "0") return Object.fromEntries(axes.map((name) => [`${name}.autorange`, true]));
  if (!KEYS[key]) return undefined;
  const [scale, shift] = KEYS[key];
  const ranges = axes.filter((name) => name[0] === "x").map((name) => {
    const [low, high] = layout[name].range;
    const middle = (low + high) / 2 + shift * (high - low), half = (scale * (high - low)) / 2;
    return [`${name}.range`, [middle - half, middle + half]];
  });
  return Object.fromEntries(ranges);
}
