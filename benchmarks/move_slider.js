// Moves a slider or a selection by one; milliseconds until the last figure was drawn.
([slider, place, quiet]) => new Promise(done => {
    const panel = slider.closest('.qtha-explorer'), began = performance.now();
    let last, timer = setTimeout(() => done(null), 20000);
    const watch = new MutationObserver(() => {
        last = performance.now();
        clearTimeout(timer);
        timer = setTimeout(() => { watch.disconnect(); done(last - began); }, quiet);
    });
    watch.observe(panel, { subtree: true, attributeFilter: ['data-drawings'] });
    const isList = slider.tagName === 'SELECT';
    slider[isList ? 'selectedIndex' : 'value'] = place;
    slider.dispatchEvent(new Event(isList ? 'change' : 'input'));
})
