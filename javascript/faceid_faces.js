// The strip of faces: clicks are written into the unit's hidden field. And photos and pictures in large, with zoom.
(() => {
    "use strict";

    const LARGE = ".faceid-gallery .preview > img, .faceid-gallery .preview button > img";
    const RESULT = "#faceid_page #txt2img_gallery .thumbnail-item";
    const STEPS = [1, 1.5, 2, 3, 4, 6, 8];
    let asked = 0;

    // gradio hears of a text that scripts write by the event that typing sends.
    function write(field, text) {
        const kind = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
        Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, text);
        field.dispatchEvent(new Event("input", {bubbles: true}));
    }

    window.faceidWrite = write;

    // gradio hears a change of the text alone: the number makes each click one.
    function ask(button, what) {
        const prefix = button.closest("[id$=_cards]")?.id.replace(/_cards$/, "");
        const field = document.querySelector(`#${prefix}_asked textarea, #${prefix}_asked input`);
        if (!field) return;
        write(field, `${what} #${++asked}`);
    }

    function ticked(part) {
        const boxes = part.closest(".faceid-cards").querySelectorAll(".faceid-face input:checked");
        return [...boxes].map((box) => box.value);
    }

    function zoomDialog() {
        const found = document.getElementById("faceid_zoom");
        if (found) return found;
        const made = document.createElement("dialog");
        made.id = "faceid_zoom";
        made.setAttribute("aria-label", "Larger view");
        made.innerHTML = '<form method="dialog"><button type="button" data-step="-1">Smaller</button>'
            + '<button type="button" data-step="1">Larger</button><button>Close</button></form>'
            + '<div tabindex="0"><img alt=""></div>';
        document.body.append(made);
        const image = made.querySelector("img");
        const zoom = (by) => {
            const at = STEPS.indexOf(Number(image.dataset.zoom));
            image.dataset.zoom = STEPS[Math.min(Math.max(at + by, 0), STEPS.length - 1)];
            image.style.width = `${100 * image.dataset.zoom}%`;
        };
        made.addEventListener("click", (event) => {
            if (event.target === made) made.close();
            else if (event.target.dataset.step) zoom(Number(event.target.dataset.step));
        });
        made.addEventListener("keydown", (event) => {
            if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1 : -1);
        });
        made.querySelector("div").addEventListener("wheel", (event) => {
            event.preventDefault();
            zoom(event.deltaY < 0 ? 1 : -1);
        }, {passive: false});
        return made;
    }

    function showLarge(source, text) {
        const dialog = zoomDialog(), image = dialog.querySelector("img");
        image.src = source;
        image.alt = text;
        image.dataset.zoom = 1;
        image.style.width = "100%";
        dialog.showModal();
    }

    document.addEventListener("click", (event) => {
        const target = event.target;
        const button = target.closest?.("[data-faceid-asks]");
        if (button) {
            const what = button.dataset.faceidAsks;
            ask(button, what === "each" ? `each:${ticked(button).join(",")}` : what);
            return;
        }
        const card = target.closest?.("[data-faceid-large]");
        if (card) {
            const prefix = card.closest("[id$=_cards]").id.replace(/_cards$/, "");
            const photos = document.querySelectorAll(`#${prefix}_gallery .thumbnail-item img`);
            const photo = photos[Number(card.dataset.faceidLarge)] ?? card.querySelector("img");
            showLarge(photo.src, card.getAttribute("aria-label"));
        } else if (target.closest?.(RESULT)) { // gradio hears the click, too: this picture is the chosen one
            const picture = target.closest(RESULT).querySelector("img");
            showLarge(picture.src, picture.alt || "Picture");
        } else if (target.matches?.(LARGE)) {
            event.preventDefault();
            event.stopPropagation();
            showLarge(target.src, target.alt || "Picture");
        }
    }, true);

    // gradio 3 gives these buttons no name.
    onAfterUiUpdate(() => document.querySelectorAll(RESULT).forEach((button, at) => {
        if (!button.hasAttribute("aria-label")) button.setAttribute("aria-label", `Show picture ${at + 1}`);
    }));

    document.addEventListener("change", ({target}) => {
        if (!target.matches?.(".faceid-face input")) return;
        const each = target.closest(".faceid-cards").querySelector(".faceid-each");
        each.hidden = ticked(target).length < 2;
    });
})();
