// What the page says, in the language of the WebUI's localization (`localizations/*.json`: text -> translation).
// The WebUI itself translates whole texts that are new in the page. Here come those that change, names for screen
// readers, and texts with figures or names in them: `{}` in a key stands for any of
// these, and in the translation for the same in order, or by its place: `{2}`.
(() => {
    "use strict";

    const SKIPPED = "script, style, textarea, pre, code, input";
    const NAMED = ["aria-label", "title", "placeholder", "alt"];
    const roots = window.faceidRoots ?? "#txt2img_faceid, #img2img_faceid, #faceid_journal, .faceid-likeness";
    const words = new Map();
    const patterns = [];
    let read;

    function escaped(text) {
        return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    }

    // The longest fixed part first: "Saved as '{}'. Keep ..." goes before "Saved as '{}'.".
    function readWords() {
        if (read === window.localization) return;
        read = window.localization;
        words.clear();
        patterns.length = 0;
        for (const [text, told] of Object.entries(read ?? {})) {
            if (typeof told !== "string") continue;
            if (!text.includes("{}")) words.set(text, told);
            else patterns.push([text.length, new RegExp(`^${text.split("{}").map(escaped).join("(.*?)")}$`, "s"), told]);
        }
        patterns.sort((one, other) => other[0] - one[0]);
    }

    // Returns the text in the chosen language, or as it is.
    function inWords(text) {
        readWords();
        const told = words.get(text);
        if (told !== undefined || !text) return told ?? text;
        for (const [, pattern, translation] of patterns) {
            const found = pattern.exec(text);
            if (found) {
                let at = 0;
                return translation.replace(/\{(\d*)\}/g, (_, place) => found[place || ++at] ?? "").trim();
            }
        }
        return text;
    }

    function translateText(node) {
        const text = node.data.trim();
        if (!text || node.parentElement?.closest(SKIPPED)) return;
        const told = inWords(text);
        if (told !== text) node.data = node.data.replace(text, () => told);
    }

    function translateNames(element) {
        for (const name of NAMED) {
            const text = element.getAttribute(name);
            const told = text && inWords(text);
            if (text && told !== text) element.setAttribute(name, told);
        }
    }

    function translate(node) {
        if (node.nodeType === Node.TEXT_NODE) return translateText(node);
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        translateNames(node);
        for (const named of node.querySelectorAll(NAMED.map((name) => `[${name}]`).join())) translateNames(named);
        const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) translateText(walker.currentNode);
    }

    function isOurs(node) {
        return (node.parentElement ?? node).closest?.(roots);
    }

    function changed(mutations) {
        if (!window.localization) return;
        for (const {type, target, addedNodes} of mutations) {
            for (const node of type === "childList" ? addedNodes : [target]) {
                if (isOurs(node)) type === "attributes" ? translateNames(node) : translate(node);
                else if (node.querySelectorAll) node.querySelectorAll(roots).forEach(translate);
            }
        }
    }

    window.faceidWords = inWords;
    new MutationObserver(changed).observe(document.documentElement, {
        childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: NAMED,
    });
    if (window.localization) document.querySelectorAll(roots).forEach(translate);
})();
