// The closed accordion tells how many units are on, an active unit's tab is marked, and lists fill when first opened.
(() => {
    "use strict";

    const TABS = ["txt2img", "img2img"];
    const OTHERS = "#faceid_page, #faceid_journal_panel, #tab_faceid_journal";
    let opened = new WeakSet();
    let checkpoint;
    let chosen;
    const aims = new Map();

    function showActiveUnits(accordion) {
        const boxes = [...accordion.querySelectorAll("[id$='_enabled'] input[type=checkbox]")];
        const tabs = accordion.querySelectorAll(".tab-nav > button");
        boxes.forEach((box, number) => tabs[number]?.classList.toggle("faceid-active", box.checked));
        const active = boxes.filter((box) => box.checked).length;
        const label = accordion.querySelector(".label-wrap > span");
        const told = active ? `${active} ${active === 1 ? "unit" : "units"}` : "";
        const text = window.faceidWords?.(told) ?? told;
        if (label && (label.dataset.faceidActive ?? "") !== text) label.dataset.faceidActive = text;
    }

    // Nothing is looked for on the disk while the page is built: only once somebody looks.
    function fillWhenOpened(block, buttons) {
        const label = block?.querySelector(".label-wrap");
        if (!label || opened.has(label) || !label.classList.contains("open")) return;
        opened.add(label);
        for (const button of block.querySelectorAll(buttons)) button.click();
    }

    // Those who cannot see the page need words where it shows a picture, and at the number beside a slider.
    function nameControls(accordion) {
        for (const button of accordion.querySelectorAll("button.tool:not([aria-label])")) {
            const what = button.id.endsWith("_people") ? "saved people" : "adapters";
            button.setAttribute("aria-label", `Refresh the list of ${what}`);
            button.title = `Refresh the list of ${what}`;
        }
        for (const number of accordion.querySelectorAll("input[type=number]")) {
            const label = number.closest(".block")?.querySelector("[data-testid=block-info]")?.textContent.trim();
            if (label && number.getAttribute("aria-label") !== label) number.setAttribute("aria-label", label);
        }
        // gradio's own: a picture without words, the button around where files are dropped.
        for (const image of accordion.querySelectorAll("img:not([alt])")) {
            const label = image.closest(".block")?.querySelector("[data-testid=block-label]")?.textContent.trim();
            image.alt = label || "Picture";
        }
        for (const around of accordion.querySelectorAll("button:not([aria-label])")) {
            if (around.querySelector(":scope > input[type=file]")) around.setAttribute("aria-label", "Upload");
        }
        // gradio's own: a named place without a role, a button around a whole table, cells that are buttons.
        for (const empty of accordion.querySelectorAll("div.empty[aria-label]:not([role])")) {
            empty.setAttribute("role", "group");
        }
        for (const around of accordion.querySelectorAll("button.disable_click:not([role])")) {
            around.setAttribute("role", "group");
            around.setAttribute("aria-label", "Table");
            around.closest("[role=grid]")?.setAttribute("role", "group");
        }
        for (const cell of accordion.querySelectorAll("td span[role=button]")) {
            const isEmpty = !cell.textContent.trim();
            if (isEmpty !== cell.hasAttribute("aria-label")) cell.toggleAttribute("aria-label", isEmpty);
            if (isEmpty && !cell.getAttribute("aria-label")) cell.setAttribute("aria-label", "Empty cell");
        }
    }

    // A job that has searched for a setting says so in its answer: the fold then shows the curve. One that was drawn at
    // weight 0 is compared with the picture that was looked at.
    function showAim(tab) {
        const info = document.querySelector(`#generation_info_${tab} textarea`)?.value ?? "";
        if (aims.get(tab) === info) return;
        aims.set(tab, info);
        if (info.includes('"FaceID aim": {')) document.querySelector(`#${tab}_faceid_aim_show`)?.click();
        if (info.includes('"FaceID compared":')) document.querySelector(`#${tab}_faceid_diagnosis_again`)?.click();
    }

    // The host's line for a job that failed has no colour of its own.
    function markFailure(tab) {
        for (const line of document.querySelectorAll(`#html_log_${tab} .error`)) {
            line.classList.toggle("faceid-failed", line.textContent.includes("IP-Adapter FaceID:"));
        }
    }

    // Forge loads a checkpoint with the next job: until then the list at the top of its page says which one is meant.
    function followForge() {
        const list = document.querySelector('.model_selection input[aria-label="Checkpoint"]');
        if (!list || list === document.activeElement) return; // somebody types
        if (chosen !== undefined && chosen !== list.value) setTimeout(refill, 500); // its server hears of it first
        chosen = list.value;
    }

    function update() {
        followForge();
        for (const part of document.querySelectorAll(OTHERS)) nameControls(part);
        for (const tab of TABS) {
            markFailure(tab);
            showAim(tab);
            const accordion = document.querySelector(`#${tab}_faceid`);
            if (!accordion) continue;
            showActiveUnits(accordion);
            nameControls(accordion);
            fillWhenOpened(accordion, "button.tool");
            fillWhenOpened(accordion.querySelector(`#${tab}_faceid_setup`), `#${tab}_faceid_setup_check`);
            fillWhenOpened(accordion.querySelector(`#${tab}_faceid_which`), `#${tab}_faceid_which_fill`);
        }
    }

    // What Auto means, and what the setup lacks, is said of a checkpoint: with another one it is asked anew.
    function refill() {
        opened = new WeakSet();
        update();
    }

    window.faceidRefill = refill;
    window.onOptionsChanged?.(() => {
        const loaded = typeof opts === "undefined" ? undefined : opts.sd_checkpoint_hash;
        if (checkpoint !== undefined && checkpoint !== loaded) refill();
        checkpoint = loaded;
    });
    onAfterUiUpdate(update);
    document.addEventListener("change", update);
    document.addEventListener("click", () => setTimeout(update, 100)); // opening an accordion adds nothing to the page
})();
