// Recover a widget whose module loaded late: anywidget 0.11 drops each message to a model after two seconds.
// Stands before the module of every widget (see page_module.py).

function recover({ model }) {
  const whole = model.set?.({}); // Backbone's set returns the model itself
  if (!whole?.comm_live) return;
  whole._handle_comm_msg({ content: { data: {} } }).catch(() => {
    let kind = Object.getPrototypeOf(whole);
    while (!Object.hasOwn(kind, "_handle_comm_msg")) kind = Object.getPrototypeOf(kind);
    const handle = Object.getPrototypeOf(kind)._handle_comm_msg; // ipywidgets' own, which waits for nothing
    whole.comm.on_msg((message) => handle.call(whole, message));
    whole.comm.send({ method: "request_state" }, whole.callbacks()); // the state that was dropped
    console.info("[qtha-lab] A widget that loaded late has recovered.");
  });
}
