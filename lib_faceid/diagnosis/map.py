"""The map from what is seen in a run to what to change: one table. docs/DIAGNOSIS.md is made from it.

A row is a function of facts: it gives evidence, or nothing. The strongest comes first; nothing at all is an answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from lib_faceid.diagnosis import of_person, of_picture
from lib_faceid.diagnosis.evidence import Change, Find
from lib_faceid.diagnosis.facts import Facts

__all__ = ["MAP", "NOTHING_ELSE", "Diagnosis", "Finding", "Row", "diagnose", "row_ids"]

NOTHING = "Nothing wrong was found."
NOTHING_ELSE = "Nothing else is known. Another seed, or the best of several, is what is left to try."
NO_TOWERS = (
    "Whether the prompt's style was followed was not looked at: no CLIP model of text and pictures is on this machine."
)
NO_PLAIN = "How it looks was measured against photographs: the same settings at weight 0 were not looked at."
NO_SCORES = "Nobody looked at the likeness: causes are named by the settings alone."


@dataclass(frozen=True)
class Row:
    """One row of the map."""

    id: str
    seen: str
    cause: str
    do_now: str
    rule: str
    find: Find


@dataclass(frozen=True)
class Finding:
    """A row that applies."""

    row: Row
    strength: float
    figures: str
    change: Change
    was_refused: bool = False
    """Whether somebody said of another run of the same person that it was not it."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        texts = {name: getattr(self.row, name) for name in ("id", "seen", "cause", "do_now", "rule")}
        return {
            **texts,
            "strength": round(self.strength, 3),
            "evidence": self.figures,
            "change": self.change.as_dict(),
            "was_refused": self.was_refused,
        }


@dataclass(frozen=True)
class Diagnosis:
    """The rows that apply, the strongest first.

    >>> Diagnosis(()).words
    'Nothing wrong was found.'
    """

    findings: tuple[Finding, ...]
    unseen: tuple[str, ...] = ()
    """What could not be looked at, in sentences."""
    refused: tuple[Finding, ...] = ()
    """The rows that apply, too, and were said not to be it."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.findings and not self.refused

    def without(self, refused: Collection[str]) -> Diagnosis:
        """Return the diagnosis in which rows of those ids are not proposed: somebody said that they are not it."""
        left = tuple(one for one in self.findings if one.row.id not in refused)
        out = tuple(one for one in self.findings if one.row.id in refused)
        return replace(self, findings=left, refused=(*self.refused, *out))

    def behind(self, refused: Collection[str]) -> Diagnosis:
        """Return the diagnosis with rows of those ids behind all others: of another run they were not it."""
        marked = [replace(one, was_refused=one.row.id in refused) for one in self.findings]
        return replace(self, findings=tuple(sorted(marked, key=lambda one: one.was_refused)))

    @property
    def words(self) -> str:
        """The diagnosis in one line, for a journal."""
        if not self.findings:
            return NOTHING_ELSE if self.refused else NOTHING
        first = self.findings[0]
        return f"{first.row.seen}: {first.row.cause} ({first.figures})"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        rows = [finding.as_dict() for finding in self.findings]
        values = {"is_clean": self.is_clean, "words": self.words, "rows": rows, "unseen": list(self.unseen)}
        return {**values, "refused": [finding.row.id for finding in self.refused]}


def diagnose(facts: Facts) -> Diagnosis:
    """Return the rows of the map that apply to a run, the strongest evidence first.

    >>> found = diagnose(Facts("portrait", units=(UnitFacts(weight=0.2, likeness=(0.25,)),)))
    >>> found.findings[0].change.words
    'Raise the identity weight from 0.2 to 0.8.'
    """
    found = [(one, evidence) for one in MAP if (evidence := one.find(facts)) is not None]
    found.sort(key=lambda pair: -pair[1].strength)  # stable: the table's order decides between equals
    findings = tuple(Finding(one, each.strength, each.figures, each.change) for one, each in found)
    blocks = facts.blocks
    notes = [NO_TOWERS] if facts.text_match is None and blocks.style else []
    notes += [NO_PLAIN] if facts.look is not None and facts.plain_look is None else []
    notes += [NO_SCORES] if facts.units and not facts.is_scored else []
    return Diagnosis(findings, tuple(notes))


def row_ids() -> tuple[str, ...]:
    """Return the ids of the rows, in the order of the table."""
    return tuple(one.id for one in MAP)


MAP: tuple[Row, ...] = (
    Row(
        "style_ignored", "the prompt's style is ignored", "the prompt is too generic or overloaded",
        "rewrite it with explicit camera and light blocks", "one prompt template for the whole team",
        of_picture.style_ignored,
    ),
    Row(
        "weak_reference", "identity weak, or unstable from run to run", "the reference is weak or noisy",
        "give a high-quality frontal reference", "an approved reference set for each person",
        of_person.weak_reference,
    ),
    Row(
        "waxy", "looks synthetic or waxy", "style and guidance push each other",
        "less style, simpler words", "no stacked realism keywords",
        of_picture.waxy,
    ),
    Row(
        "prompt_dominates", "composition good, wrong face feel", "the prompt dominates the identity",
        "less style, identity kept", "style only after the identity baseline is accepted",
        of_picture.prompt_dominates,
    ),
    Row(
        "expression", "composition right, expression wrong", "the prompt gives style adjectives only",
        "name expression and gaze direction", "an expression block in the template",
        of_picture.expression,
    ),
    Row(
        "off", "somebody else", "the weight is 0: the person is off",
        "set the weight to its default", "a baseline at the default weight before anything is changed",
        of_person.off,
    ),
    Row(
        "low_weight", "only a little like the person", "the identity weight is low",
        "raise the weight to its default", "lower the weight only from an accepted baseline",
        of_person.low_weight,
    ),
    Row(
        "late_start", "right hair and pose, another face", "the person acts only after the face is laid out",
        "let the person act from the first step", "start above 0.2 only for composition",
        of_person.late_start,
    ),
    Row(
        "early_end", "the face drifts away in the details", "the person stops acting before the face is finished",
        "let the person act to the last step", "end below 0.8 only for style",
        of_person.early_end,
    ),
    Row(
        "few_layers", "like the person in one respect only", "the weight goes to a part of the UNet",
        "share the weight evenly", "weight types for style and composition, not for likeness",
        of_person.few_layers,
    ),
    Row(
        "hires_only", "somebody else's head, made over", "the person acts in the second pass only",
        "let the person act in both passes", "identity in the first pass, details in the second",
        of_person.hires_only,
    ),
    Row(
        "lora_off", "less like the person than usual", "the LoRA that belongs to the adapter is off",
        "set the LoRA strength to its default", "the adapter's LoRA stays on",
        of_person.lora_off,
    ),
    Row(
        "wrong_recogniser", "a random person, always the same", "the reference is by another recogniser",
        "make the reference again with the right face models", "one face model pack for the whole team",
        of_person.wrong_recogniser,
    ),
    Row(
        "not_acting", "a stranger at full weight", "adapter, checkpoint and reference do not belong together",
        "let Auto choose the adapter", "one adapter for each checkpoint, checked in 'Check setup'",
        of_person.not_acting,
    ),
    Row(
        "swapped", "two people in each other's places", "the regions do not say who stands where",
        "give each person a region", "a region for each person whenever there are two",
        of_person.swapped,
    ),
    Row(
        "extra_faces", "faces that nobody asked for", "the prompt leaves room for other people",
        "name them in the negative prompt", "say in the subject block how many people there are",
        of_person.extra_faces,
    ),
    Row(
        "no_face", "no face of the person", "the prompt hides the face or frames it out",
        "ask for a portrait with the face visible", "framing in the camera block",
        of_person.no_face,
    ),
    Row(
        "small_face", "the face is too small to be anybody", "the face has too few pixels for the person",
        "ask for a close-up", "small faces only with hires fix or ADetailer",
        of_person.small_face,
    ),
    Row(
        "unsteady", "alike with one seed, not with the next", "the seed decides, not a setting",
        "draw several and keep the best", "best of N for finished pictures",
        of_person.unsteady,
    ),
    Row(
        "too_alike", "a copy of the photo", "the identity leaves the prompt no room",
        "lower the weight", "two photos of a person are less alike than this",
        of_person.too_alike,
    ),
    Row(
        "high_cfg", "hard, burnt, oversaturated", "the CFG scale is far above the usual",
        "lower the CFG scale", "CFG stays where the checkpoint was tuned",
        of_picture.high_cfg,
    ),
    Row(
        "overdriven", "hard or waxy at a high weight", "the identity weight is above what the picture bears",
        "lower the weight to its default", "rather better photos than a weight above 1",
        of_picture.overdriven,
    ),
    Row(
        "contradiction", "neither the one nor the other", "words of the prompt exclude each other",
        "take one of them out", "one word for each block",
        of_picture.contradiction,
    ),
    Row(
        "few_steps", "unfinished, soft", "too few steps",
        "raise the steps", "few steps only with checkpoints made for it",
        of_picture.few_steps,
    ),
)  # fmt: skip
