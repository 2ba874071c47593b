"""The style of our own page, besides the units' own `style.css`: where the pictures stand, and how they are drawn."""

from __future__ import annotations

__all__ = ["OWN_STYLE"]

# The place of the pictures is as high before, while and after they are drawn: nothing below it moves. gradio's blocks
# are each a place of their own for what is positioned; the bar belongs to all of it.
OWN_STYLE = """
footer { display: none !important; }
.gradio-container { overflow: clip !important; } /* hidden would make nothing stick */
#faceid_page > :last-child { position: sticky; top: 0.5em; align-self: flex-start; }
#txt2img_faceid :is([id$="_adetailer"], [id$="_adetailer_weight"]) { display: none; }
.faceid-title { font-size: 1.6em; font-weight: 600; }
.prose ul.faceid-applied { margin: 0.5em 0; padding-left: 1.2em; list-style: disc outside; }
#faceid_stage { position: relative; gap: 0.5em; }
#faceid_stage > :has(.faceid-live), #faceid_stage :has(.faceid-live) { position: static !important;
  overflow: visible !important; opacity: 1; }
#faceid_stage .min { min-height: 0; }
#faceid_stage > .block:has(.prose:empty, .faceid-live:only-child) { margin-bottom: -0.5em; padding: 0; border: none; }
#faceid_stage .generating { border-color: transparent; animation: none; }
#txt2img_gallery { height: min(62vh, 640px); min-height: 320px; }
#txt2img_gallery :is(.grid-wrap, .fixed-height) { height: 100%; min-height: 0; max-height: none; }
#txt2img_gallery .grid-container { height: 100% !important; padding: 0; grid-auto-rows: minmax(96px, 1fr); }
#txt2img_gallery .grid-container > * { width: 100%; height: 100%; min-height: 0; aspect-ratio: auto; }
#txt2img_gallery .thumbnail-item { cursor: zoom-in; }
#txt2img_gallery .thumbnail-item img { width: 100%; height: 100%; object-fit: contain; }
#faceid_stage:has(.faceid-live) .grid-wrap { padding-bottom: 4.5em; }
#faceid_stage .faceid-live { position: absolute; inset: auto 1px 1px; z-index: 2; display: flex; align-items: center;
  gap: 0.75em; height: 4.25em; padding: 0.4em 0.75em; border-radius: var(--radius-lg, 8px);
  background: var(--background-fill-secondary); color: var(--body-text-color); }
#faceid_stage .faceid-live img { width: auto; height: 100%; margin: 0; }
#faceid_stage .faceid-live.faceid-first img { position: absolute; right: 0; bottom: calc(100% + 0.5em); left: 0;
  width: 100%; height: calc(min(62vh, 640px) - 6em); min-height: calc(320px - 6em); object-fit: contain; }
#faceid_stage .faceid-live .faceid-bar { flex: 1; }
#faceid_stage .faceid-live progress { display: block; width: 100%; height: 0.5em; margin-top: 0.3em; border: none;
  border-radius: 1em; overflow: hidden; appearance: none; background: var(--border-color-primary); }
#faceid_stage progress::-webkit-progress-bar { background: var(--border-color-primary); }
#faceid_stage progress::-webkit-progress-value { background: var(--color-accent); }
#faceid_stage progress::-moz-progress-bar { background: var(--color-accent); }
.faceid-compared { --at: 50%; max-width: 512px; }
.faceid-compared .faceid-both { position: relative; }
.faceid-compared img { display: block; width: 100%; margin: 0; }
.faceid-compared img + img { position: absolute; inset: 0; height: 100%; object-fit: contain;
  clip-path: inset(0 0 0 var(--at)); }
.faceid-compared input { width: 100%; accent-color: var(--color-accent); }
.faceid-compared :is(th, td) { padding: 0.2em 0.5em; text-align: left; overflow-wrap: anywhere; }
.faceid-parameters { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.85em; }
"""
