// A page that is opened as a file may not start a worker, which the search of the site needs.
// There the worker's script runs in a hidden frame; messages are events in both directions.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const home = new URL(url, location.href);
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.hidden = true;
      this.scope = frame.contentWindow;
      const load = (address) => new Promise((resolve, reject) => {
        const script = this.scope.document.createElement("script");
        Object.assign(script, { src: new URL(address, home), onload: resolve, onerror: reject });
        this.scope.document.head.append(script);
      });
      this.scope.importScripts = (...addresses) => addresses.reduce(
        (before, address) => before.then(() => load(address)), Promise.resolve());
      this.scope.postMessage = (data) => this.receive(this, data);
      this.ready = load(home);
    }
    receive(target, data) {
      target.dispatchEvent(new MessageEvent("message", { data }));
    }
    postMessage(data) {
      this.ready.then(() => this.receive(this.scope, data));
    }
    terminate() {
      this.scope.frameElement.remove();
    }
  };
}
