// Moves a slider or a selection by one step; milliseconds until the last figure was drawn.
([control, step, quiet]) => new Promise(done => {
    const panel = control.closest('.qtha-explorer'), began = performance.now();
    let last, timer = setTimeout(() => done(null), 20000);
    const watch = new MutationObserver(() => {
        last = performance.now();
        clearTimeout(timer);
        timer = setTimeout(() => { watch.disconnect(); done(last - began); }, quiet);
    });
    watch.observe(panel, { subtree: true, attributeFilter: ['data-drawings'] });
    if (control.tagName === 'SELECT') {
        control.selectedIndex += step;
        control.dispatchEvent(new Event('change', { bubbles: true }));
    } else {
        const key = step > 0 ? 'ArrowRight' : 'ArrowLeft';
        control.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    }
})
