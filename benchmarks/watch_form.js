// Seconds from the next key until the form is complete.
() => new Promise(done => {
    let began;
    addEventListener('keydown', e => { if (e.key === 'Enter') began ??= performance.now(); },
        { capture: true });
    const look = () => {
        const launch = [...document.querySelectorAll('.qtha-workbench button')].find(b =>
            b.textContent.trim().startsWith('Launch') && b.checkVisibility() && b.clientHeight);
        if (launch && began) done((performance.now() - began) / 1000);
        else requestAnimationFrame(look);
    };
    look();
})
