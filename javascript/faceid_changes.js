// The hidden text beside an HTML component, which changes when the component does: see `changes_of` in lib_faceid/ui/parts.py.
(() => {
    "use strict";

    const ENDING = /_changed$/;
    const watched = new WeakSet();
    let changes = 0;

    // Around what is shown gradio has a place for its progress: that is no change.
    function watch(shown, field) {
        const now = () => (shown.querySelector(".prose") ?? shown).innerHTML.trim();
        let before = now();
        const tell = () => window.faceidWrite(field, before ? String(++changes) : "");
        if (Boolean(before) !== Boolean(field.value)) tell();
        new MutationObserver(() => {
            if (now() === before) return;
            before = now();
            tell();
        }).observe(shown, {childList: true, characterData: true, subtree: true});
    }

    onAfterUiUpdate(() => {
        for (const field of document.querySelectorAll("[id$=_changed] :is(textarea, input)")) {
            const shown = document.getElementById(field.closest("[id$=_changed]").id.replace(ENDING, ""));
            if (!shown || watched.has(shown)) continue;
            watched.add(shown);
            watch(shown, field);
        }
    });
})();
