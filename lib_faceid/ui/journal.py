"""The tab "FaceID journal": a list with filters, a run's page, comparing, the tree and the curve, notes, export."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_faceid.journal.compare import compare
from lib_faceid.journal.export import as_csv, as_json, seconds_of
from lib_faceid.journal.filters import ORDERS, Filter
from lib_faceid.journal.shown import score_text, when_text
from lib_faceid.ui.parts import QUICK, changes_of, notice
from lib_faceid.ui.services import attempt

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal, Page
    from lib_faceid.journal.run import Run

__all__ = ["JournalServices", "JournalTab", "build_journal"]

HEADERS = ["Run", "When", "Likeness", "People", "What was tried, or the prompt", "Tags"]
SIZE = 25
MAX_EXPORTED = 5000  # by the page; the command line has no limit
ON = "The journal is on: what is drawn is written down. It is personal data: prompts, names and paths, and no photo."
OFF = "The journal is off: nothing is written down. Runs hold prompts, names of people and paths, and no photo."


@dataclass(frozen=True)
class JournalServices:
    """What the tab asks its host for."""

    journal: Callable[[], Journal]
    is_on: Callable[[], bool]
    switch: Callable[[bool], None]
    photos_of: Callable[[str], Sequence[str]] = lambda _name: ()
    """Gives the hashes of a saved person's photos."""


@dataclass(frozen=True, eq=False)
class JournalTab:
    """What a host has to know of the tab."""

    infotext: Any
    """The hidden text with every setting of the run that is open."""
    back: Any
    """The button that has the host read it."""


def build_journal(services: JournalServices) -> JournalTab:
    """Return the tab, made where gradio stands right now."""
    with gr.Column(elem_id="faceid_journal"):
        _build_switch(services)
        filters, find, older, table, small, after = _build_list()
        run, opened, others = _build_run()
        page = gr.HTML(elem_id="faceid_journal_page")
        with gr.Row():
            note = gr.Textbox(label="Note", lines=2, elem_id="faceid_journal_note")
            tags = gr.Textbox(label="Tags, between commas", elem_id="faceid_journal_tags")
        with gr.Row(elem_classes=["faceid-buttons"]):
            keep = gr.Button("Keep note and tags", size="sm", elem_id="faceid_journal_keep")
            back = gr.Button("Back to txt2img with every setting", size="sm", elem_id="faceid_journal_back")
        infotext = gr.Textbox("", label="Settings", elem_id="faceid_journal_infotext", elem_classes=["faceid-hidden"])
        message = gr.HTML(elem_id="faceid_journal_message")
        _build_export(services, filters)
        forgotten = _build_forget(services)
    shown = [page, note, tags, infotext, message]
    _wire_list(services, filters, (find, older, forgotten), (table, after, small, message))
    _wire_select(services, table, run, shown)
    opened.click(lambda number: _open(services, number), [run], shown, **QUICK)
    _wire_others(services, run, others, (page, message))
    keep.click(lambda *args: _keep(services, *args), [run, note, tags], [message], **QUICK)
    return JournalTab(infotext, back)


def _build_switch(services: JournalServices) -> None:
    is_on, _ = attempt(services.is_on)
    state = gr.HTML(notice(ON if is_on else OFF), elem_id="faceid_journal_state")
    with gr.Row(elem_classes=["faceid-buttons"]):
        on = gr.Button("Switch the journal on", size="sm", elem_id="faceid_journal_on")
        off = gr.Button("Switch it off", size="sm", elem_id="faceid_journal_off")

    def switched(criteria: bool) -> str:
        _, problem = attempt(services.switch, criteria)
        return notice(problem, "warning") if problem else notice(ON if criteria else OFF, "good")

    on.click(lambda: switched(True), None, [state], **QUICK)
    off.click(lambda: switched(False), None, [state], **QUICK)


def _build_list() -> tuple[list[Any], Any, Any, Any, Any, Any]:
    """Return the components of the filter, the two buttons, the table, its pictures, what asks for the next ones."""
    with gr.Row():
        person = gr.Textbox(
            label="Person",
            info="The whole name; not saved: photo and its hash.",
            max_lines=1,
            elem_id="faceid_journal_person",
        )
        tag = gr.Textbox(label="Tag", info="The whole tag.", max_lines=1, elem_id="faceid_journal_tag")
        text = gr.Textbox(
            label="Words", info="Of prompt, note, tags or names.", max_lines=1, elem_id="faceid_journal_text"
        )
        order = gr.Dropdown(
            list(ORDERS), value=ORDERS[0], label="Order", info="Of the list.", elem_id="faceid_journal_order"
        )
    with gr.Row():
        lowest = gr.Slider(-1, 1, -1, step=0.01, label="Likeness from", elem_id="faceid_journal_lowest")
        highest = gr.Slider(-1, 1, 1, step=0.01, label="Likeness to", elem_id="faceid_journal_highest")
        since = gr.Textbox(label="Since", info="As 2026-11-26.", max_lines=1, elem_id="faceid_journal_since")
        until = gr.Textbox(label="Until", info="As 2026-11-26.", max_lines=1, elem_id="faceid_journal_until")
    with gr.Row(elem_classes=["faceid-buttons"]):
        find = gr.Button("Show the runs", variant="primary", size="sm", elem_id="faceid_journal_find")
        older = gr.Button("Next page", size="sm", elem_id="faceid_journal_older")
    table = gr.Dataframe(
        headers=HEADERS, datatype="str", type="array", interactive=False, wrap=True, label="Runs",
        elem_id="faceid_journal_table",
    )  # fmt: skip
    small = gr.HTML(elem_id="faceid_journal_small")
    return [person, tag, text, order, lowest, highest, since, until], find, older, table, small, gr.State([])


def _build_run() -> tuple[Any, Any, list[Any]]:
    """Return the box with the run's name, the button that opens it, and what else can be done with it."""
    with gr.Row():
        run = gr.Textbox(label="Run", info="Click one in the list.", max_lines=1, elem_id="faceid_journal_run")
        second = gr.Textbox(label="Compare with", info="As F-000123.", max_lines=1, elem_id="faceid_journal_second")
    with gr.Row(elem_classes=["faceid-buttons"]):
        opened = gr.Button("Open", size="sm", elem_id="faceid_journal_open")
        beside = gr.Button("Compare", size="sm", elem_id="faceid_journal_compare")
        tree = gr.Button("Tree", size="sm", elem_id="faceid_journal_tree")
        curve = gr.Button("Curve of its person", size="sm", elem_id="faceid_journal_curve")
    return run, opened, [second, beside, tree, curve]


def _build_export(services: JournalServices, filters: Sequence[Any]) -> None:
    with gr.Accordion("Export", open=False, elem_id="faceid_journal_exporting"):
        with gr.Row(elem_classes=["faceid-buttons"]):
            csv = gr.Button("As CSV", size="sm", elem_id="faceid_journal_csv")
            json = gr.Button("As JSON", size="sm", elem_id="faceid_journal_json")
        link = gr.HTML(elem_id="faceid_journal_link")
    csv.click(lambda *criteria: _exported(services, criteria, "csv"), list(filters), [link], queue=False)
    json.click(lambda *criteria: _exported(services, criteria, "json"), list(filters), [link], queue=False)


def _build_forget(services: JournalServices) -> Any:
    """Return what changes when somebody was forgotten: the message about it."""
    with gr.Accordion("Forget a person", open=False, elem_id="faceid_journal_forgetting"):
        info = "Every run that drew this person goes for good, under the name and by the photos."
        name = gr.Textbox(label="Name", info=info, max_lines=1, elem_id="faceid_journal_forgotten")
        forget = gr.Button("Forget", size="sm", variant="stop", elem_id="faceid_journal_forget")
        message = gr.HTML(elem_id="faceid_journal_forget_message")

    def forgot(typed: str) -> str:
        who = typed.strip()
        done, problem = attempt(lambda: services.journal().forget(who, services.photos_of(who)))
        return notice(done.words, "good") if done else notice(problem, "warning")

    forget.click(forgot, [name], [message], queue=False)
    return changes_of(message)


def _wire_list(services: JournalServices, filters: Sequence[Any], buttons: Sequence[Any], shown: Sequence[Any]) -> None:
    def page(after: Sequence[float], *criteria: Any) -> list[Any]:
        found, problem = attempt(_page, services, criteria, after)
        if found is None:
            return [gr.update(), after, gr.update(), notice(problem, "warning")]
        entries, small = found
        empty = "" if entries.entries else "No run fits."
        return [gr.update(value=_rows(entries)), list(entries.after), small, notice(empty)]

    find, older, forgotten = buttons
    find.click(lambda *criteria: page([], *criteria), list(filters), list(shown), **QUICK)
    forgotten.change(lambda *criteria: page([], *criteria), list(filters), list(shown), **QUICK)
    older.click(page, [shown[1], *filters], list(shown), **QUICK)


def _wire_select(services: JournalServices, table: Any, run: Any, shown: Sequence[Any]) -> None:
    def selected(rows: list[list[Any]], event: gr.SelectData) -> list[Any]:
        number = str(rows[event.index[0]][0])  # pyright: ignore[reportIndexIssue] - row and column
        return [number, *_open(services, number)]

    table.select(selected, [table], [run, *shown], **QUICK)


def _wire_others(services: JournalServices, run: Any, parts: Sequence[Any], outputs: Sequence[Any]) -> None:
    from lib_faceid.ui.journal_html import compare_html, curve_html, tree_html

    def made(call: Callable[..., str], *args: Any) -> list[Any]:
        found, problem = attempt(call, *args)
        return [gr.update() if found is None else found, notice(problem, "warning")]

    def compared(first: str, second: str) -> str:
        journal = services.journal()
        both = journal.run(first), journal.run(second)
        small = journal.thumbnails(first), journal.thumbnails(second)
        return compare_html(*both, compare(*both), small)

    def tree(number: str) -> str:
        journal = services.journal()
        return tree_html(journal.tree(number), journal.run(number).id)

    def curve(number: str) -> str:
        journal = services.journal()
        people = journal.run(number).people
        return "".join(curve_html(person, journal.curve(person)) for person in people) or curve_html("nobody", ())

    second, beside, branches, line = parts
    beside.click(lambda *numbers: made(compared, *numbers), [run, second], list(outputs), **QUICK)
    branches.click(lambda number: made(tree, number), [run], list(outputs), **QUICK)
    line.click(lambda number: made(curve, number), [run], list(outputs), **QUICK)


def _open(services: JournalServices, number: str) -> list[Any]:
    """Return a run's page, its note, its tags, its settings as text, and what went wrong."""
    from lib_faceid.ui.journal_html import run_html

    def opened() -> tuple[Run, str]:
        journal = services.journal()
        run = journal.run(number)
        return run, run_html(run, journal.thumbnails(run.number))

    found, problem = attempt(opened)
    if found is None:
        return [*[gr.update()] * 4, notice(problem, "warning")]
    run, page = found
    return [page, run.note, ", ".join(run.tags), run.infotext() if run.pictures else "", ""]


def _keep(services: JournalServices, number: str, note: str, tags: str) -> str:
    run, problem = attempt(lambda: services.journal().edit(number, note=note, tags=tags.split(",")))
    return notice(f"{run.id} has its note and tags.", "good") if run else notice(problem, "warning")


def _exported(services: JournalServices, criteria: Sequence[Any], form: str) -> str:
    """Return a link that holds the file: nothing of it is written to the disk of the server."""
    write = {"csv": as_csv, "json": as_json}[form]
    text, problem = attempt(lambda: "".join(write(islice(services.journal().runs(_filter(criteria)), MAX_EXPORTED))))
    if text is None:
        return notice(problem, "warning")
    data = base64.b64encode(text.encode("utf-8-sig" if form == "csv" else "utf-8")).decode()
    name = f"faceid-journal.{form}"
    return f'<a download="{name}" href="data:text/{form};base64,{data}">Save {name}</a>'


def _filter(criteria: Sequence[Any]) -> Filter:
    person, tag, text, order, lowest, highest, since, until = criteria
    limits = (None if lowest <= -1 else lowest, None if highest >= 1 else highest)
    dates = (seconds_of(since), seconds_of(until, is_end=True))
    return Filter(person.strip(), tag.strip(), text, *limits, *dates, order)


def _page(services: JournalServices, criteria: Sequence[Any], after: Sequence[float]) -> tuple[Page, str]:
    """Return a page of the list, and in HTML the small pictures that were kept of its runs."""
    from lib_faceid.ui.journal_html import thumbnails_html

    journal = services.journal()
    page = journal.page(_filter(criteria), after, SIZE)
    small = journal.first_thumbnails(one.id for one in page.entries)
    return page, thumbnails_html([(one.id, score_text(one.likeness)) for one in page.entries], small)


def _rows(page: Page) -> list[list[str]]:
    return [
        [
            one.id,
            when_text(one.time),
            score_text(one.likeness),
            " | ".join(one.people),
            one.tried or one.prompt,
            ", ".join(one.tags),
        ]
        for one in page.entries
    ] or [[""] * len(HEADERS)]
