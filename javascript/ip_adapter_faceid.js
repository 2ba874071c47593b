// The closed accordion tells how many units are on, and an active unit's tab is marked.
(() => {
    "use strict";

    const TABS = ["txt2img", "img2img"];

    function showActiveUnits(accordion) {
        const boxes = [...accordion.querySelectorAll("[id$='_enabled'] input[type=checkbox]")];
        const tabs = accordion.querySelectorAll(".tab-nav > button");
        boxes.forEach((box, number) => tabs[number]?.classList.toggle("faceid-active", box.checked));
        const active = boxes.filter((box) => box.checked).length;
        const label = accordion.querySelector(".label-wrap > span");
        const text = active ? `${active} ${active === 1 ? "unit" : "units"}` : "";
        if (label && (label.dataset.faceidActive ?? "") !== text) label.dataset.faceidActive = text;
    }

    function update() {
        for (const tab of TABS) {
            const accordion = document.querySelector(`#${tab}_faceid`);
            if (accordion) showActiveUnits(accordion);
        }
    }

    onAfterUiUpdate(update);
    document.addEventListener("change", update);
})();
