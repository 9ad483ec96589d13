// Code and tables that scroll sideways can be reached by the keyboard.
const reachable = () =>
  document.querySelectorAll(".md-typeset__scrollwrap, .md-content pre, .md-content .highlight-ipynb")
    .forEach((part) => { part.tabIndex = 0; });
new MutationObserver(reachable).observe(document.body, { childList: true, subtree: true });
reachable();
