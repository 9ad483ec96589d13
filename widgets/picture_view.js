// A diagram on the page, as the kernel drew it. The other half is picture_view.py; figure_frame.js stands before it.

export default {
  render({ model, el }) {
    const frame = new Frame(el);
    const draw = () => {
      frame.plot.innerHTML = model.get("svg");
      frame.count();
    };
    const describe = () => frame.describe(model.get("alt"));
    model.on("change:svg", draw);
    model.on("change:alt", describe);
    draw();
    describe();
    return () => {
      model.off("change:svg", draw);
      model.off("change:alt", describe);
    };
  },
};
