// A diagram on the page, as the kernel drew it. The other half is picture_view.py; figure_frame.js and
// picture_zoom.js stand before it.

// What is seen of it: all but what its parts say under a pointer.
const seen = (svg) => svg.replace(/<title>[^<]*<\/title>/g, "");

return {
  render({ model, el }) {
    const frame = new Frame(el);
    const zoom = new Zoom(frame);
    let drawn = "";
    const draw = () => {
      drawn = model.get("svg");
      frame.plot.innerHTML = drawn;
      zoom.apply();
      frame.count();
    };
    const renew = () => {
      if (seen(model.get("svg")) !== seen(drawn)) draw(); // else when a pointer comes
    };
    const describe = () => frame.describe(model.get("alt"));
    frame.plot.addEventListener("pointerenter", () => {
      if (model.get("svg") !== drawn) draw();
    });
    model.on("change:svg", renew);
    model.on("change:alt", describe);
    draw();
    describe();
    return () => {
      zoom.close();
      model.off("change:svg", renew);
      model.off("change:alt", describe);
    };
  },
};
