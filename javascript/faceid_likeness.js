// The strip under the gallery: each picture with how alike its people are, in a number, a bar and words.
(() => {
    "use strict";

    const KEY = "FaceID likeness";
    const LINE = /(?:^|, )FaceID likeness: (?:"((?:[^"\\]|\\.)*)"|([^,\n]*))/;
    const shown = new WeakMap();

    function element(tag, name, text) {
        const made = document.createElement(tag);
        if (name) made.className = name;
        if (text) made.textContent = text;
        return made;
    }

    // The scores stand in the order of drawing, and a plot sorts its pictures: the line in a picture's metadata tells
    // which of them is its own. Grids, masks and whatever else is no picture of people have no such line.
    function scoresOf(info) {
        const waiting = [...(info.extra_generation_params?.[KEY]?.pictures ?? [])];
        const found = [];
        (info.infotexts ?? []).forEach((text, place) => {
            const line = LINE.exec(text?.split("\n").pop() ?? "");
            if (!line) return;
            const at = waiting.findIndex((one) => one.text === (line[1] ?? line[2]));
            if (at >= 0) found.push({place, score: waiting.splice(at, 1)[0]});
        });
        return found;
    }

    function unitLine(unit, isOne) {
        const line = element("span", "faceid-like-unit");
        const number = unit.likeness === null ? (unit.is_comparable ? "no face" : "no number") : unit.likeness.toFixed(2);
        const bar = element("span", "faceid-like-bar");
        const filled = element("i");
        filled.style.width = `${Math.round(100 * Math.min(Math.max(unit.likeness ?? 0, 0), 1))}%`;
        bar.append(filled);
        bar.setAttribute("aria-hidden", "true");
        if (!isOne) line.append(element("span", "faceid-like-who", `FaceID ${unit.unit}`));
        line.append(bar, element("b", "", number));
        if (unit.words) line.append(element("span", "faceid-like-words", unit.words));
        if (unit.level !== null && unit.level !== undefined) line.classList.add(`faceid-like-${unit.level}`);
        return line;
    }

    function card(gallery, {place, score}, number) {
        const made = element("button", "faceid-like");
        made.type = "button";
        made.title = `Show picture ${number}`;
        made.append(element("span", "faceid-like-number", String(number)));
        const lines = element("span", "faceid-like-lines");
        lines.append(...score.units.map((unit) => unitLine(unit, score.units.length === 1)));
        const notes = [...score.units.map((unit) => unit.note), score.note].filter(Boolean);
        lines.append(...notes.map((note) => element("span", "faceid-like-note", note)));
        made.append(lines);
        made.addEventListener("click", () => gallery.querySelectorAll(".thumbnail-item")[place]?.click());
        return made;
    }

    function render(strip, gallery, scores) {
        strip.replaceChildren();
        strip.hidden = !scores.length;
        if (!scores.length) return;
        strip.setAttribute("role", "group");
        strip.setAttribute("aria-label", "Likeness of the pictures to the people who were asked for");
        strip.append(element("span", "faceid-like-title", "Likeness"));
        strip.append(...scores.map((one, at) => card(gallery, one, at + 1)));
    }

    function stripUnder(place, tab) {
        const found = document.getElementById(`${tab}_faceid_likeness`);
        if (found) return found;
        const made = element("div", "faceid-likeness");
        made.id = `${tab}_faceid_likeness`;
        place.after(made);
        return made;
    }

    function parsed(text) {
        try {
            return JSON.parse(text);
        } catch {
            return {};
        }
    }

    function update() {
        for (const tab of ["txt2img", "img2img"]) {
            const gallery = document.getElementById(`${tab}_gallery`);
            const source = document.querySelector(`#generation_info_${tab} textarea, #faceid_scores_${tab} [data-info]`);
            if (!gallery || !source) continue;
            const text = source.dataset.info ?? source.value;
            if (shown.get(gallery) === text) continue;
            shown.set(gallery, text);
            const scores = text ? scoresOf(parsed(text)) : [];
            const place = document.getElementById(`${tab}_gallery_container`) ?? gallery;
            if (scores.length || document.getElementById(`${tab}_faceid_likeness`)) {
                render(stripUnder(place, tab), gallery, scores);
            }
        }
    }

    onAfterUiUpdate(update);
})();
