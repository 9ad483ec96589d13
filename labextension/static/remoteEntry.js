// A tile in JupyterLab's launcher that opens the workbench in a notebook and runs it, a sentence after a cut of the
// connection, and a patch of ipywidgets.
// Written by hand in the format of a prebuilt extension, so that nothing has to be built.
(() => {
  const COMMAND = "qtha-lab:open-workbench", NAME = "workbench.ipynb";
  const ICON = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g fill="none" stroke="#0b63b5"
    stroke-width="2"><path d="M2 7h7M15 7h7M2 17h20"/><rect x="9" y="3" width="6" height="8" rx="1"/><circle cx="12" cy="17" r="3"/></g></svg>`;
  const CUT = "The connection to the kernel was interrupted. Reload the page if a control or a figure does not follow.";
  const CELL = ["from qtha_lab.widgets import Workbench\n", "\n", "Workbench()"];

  const notebook = () => ({
    cells: [{ cell_type: "code", execution_count: null, id: "workbench", metadata: { jupyter: { source_hidden: true } }, outputs: [], source: CELL.join("") }],
    metadata: { kernelspec: { name: "python3", display_name: "Python 3", language: "python" } },
    nbformat: 4, nbformat_minor: 5,
  });

  // The page in the folder that the file browser shows; one that is there already is opened as it is.
  async function open(app, cwd) {
    const path = cwd ? `${cwd}/${NAME}` : NAME;
    const { contents } = app.serviceManager;
    const folder = await contents.get(cwd, { content: true }); // asking for a missing file is an error on the console
    if (!folder.content.some((file) => file.name === NAME)) {
      await contents.save(path, { type: "notebook", format: "json", content: notebook() });
    }
    const widget = await app.commands.execute("docmanager:open", { path, factory: "Notebook" });
    await widget.context.ready;
    await widget.sessionContext?.ready;
    app.shell.activateById(widget.id);
    await app.commands.execute("notebook:run-all-cells");
  }

  const shares = {};
  const load = async (name) => {
    const versions = Object.values(shares.scope?.[name] ?? {});
    return versions.length ? (await versions[0].get())() : undefined;
  };

  // ipywidgets 8.1 waits two seconds for a model, and does not look again after the last pause. On a page that was
  // busy meanwhile the models have come, and "widget model not found" stays in their place.
  async function lookAgain() {
    for (const version of Object.values(shares.scope?.["@jupyter-widgets/base-manager"] ?? {})) {
      const manager = (await version.get())().ManagerBase?.prototype;
      const wait = manager?.get_model;
      if (typeof wait !== "function" || typeof manager.has_model !== "function" || wait.looksAgain) continue;
      const found = async function (id) {
        try {
          return await wait.call(this, id);
        } catch (reason) {
          if (!this.has_model(id)) throw reason;
          return wait.call(this, id);
        }
      };
      manager.get_model = Object.assign(found, { looksAgain: true });
    }
  }

  // ipywidgets may lose messages in a cut: the change of a control, or the end of its transfer, without which the
  // control sends nothing more. A page with our widgets then offers a reload, after which it shows the kernel's state.
  function offerReload(panel, { Notification }) {
    let connected = false, status = "", shown;
    panel.sessionContext.statusChanged.connect((_, now) => { if (now !== "unknown") status = now; });
    panel.sessionContext.connectionStatusChanged.connect((_, now) => {
      const cut = connected && now !== "connected" && !/start|dead/.test(status);
      connected = now === "connected";
      if (!cut || !panel.node.querySelector(".qtha-page, .qtha-figure")) return;
      if (shown) Notification.dismiss(shown);
      const reload = () => panel.context.save().catch(console.warn).finally(() => location.reload());
      shown = Notification.warning(CUT, { autoClose: false, actions: [{ label: "Reload", callback: reload }] });
    });
  }

  async function extension() {
    lookAgain().catch(console.warn);
    const names = ["@jupyterlab/launcher", "@jupyterlab/ui-components", "@jupyterlab/notebook", "@jupyterlab/apputils"];
    const [launcher, ui, notebooks, apputils] = await Promise.all(names.map(load));
    const icon = ui && new ui.LabIcon({ name: "qtha-lab:workbench", svgstr: ICON });
    const plugin = {
      id: "qtha-lab:launcher",
      description: "A tile that opens the workbench.",
      autoStart: true,
      optional: launcher ? [launcher.ILauncher] : [],
      activate: (app, tiles) => {
        app.commands.addCommand(COMMAND, {
          label: "QTHA workbench",
          caption: "Describe, launch and compare fine-tuning runs",
          icon,
          execute: (args) => open(app, args?.cwd ?? ""),
        });
        const kernelIconUrl = `data:image/svg+xml;base64,${btoa(ICON)}`;
        tiles?.add({ command: COMMAND, category: "Notebook", rank: 1, kernelIconUrl });
      },
    };
    const reload = notebooks && apputils && {
      id: "qtha-lab:reload",
      description: "A sentence with a button after a cut of the connection.",
      autoStart: true,
      optional: [notebooks.INotebookTracker],
      activate: (_, tracker) => tracker?.widgetAdded.connect((_, panel) => offerReload(panel, apputils)),
    };
    return () => ({ __esModule: true, default: [plugin, reload].filter(Boolean) });
  }

  globalThis._JUPYTERLAB = globalThis._JUPYTERLAB ?? {};
  globalThis._JUPYTERLAB["qtha-lab"] = {
    init: (scope) => { shares.scope = scope; },
    get: async (module) => {
      if (module !== "./extension") throw new Error(`qtha-lab has no ${module}`);
      return extension();
    },
  };
})();
