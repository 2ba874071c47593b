"""Every method there is. To add one: its folder, and its line here."""

from __future__ import annotations

from lib_faceid.errors import MismatchError
from lib_faceid.methods.faceid.method import METHOD as FACEID
from lib_faceid.methods.instantid.method import METHOD as INSTANTID
from lib_faceid.methods.ip_adapter.method import METHOD as IP_ADAPTER
from lib_faceid.methods.method import Method, Purpose, Shapes, Variant
from lib_faceid.methods.photomaker.method import METHOD as PHOTOMAKER
from lib_faceid.methods.redux.method import METHOD as REDUX

__all__ = [
    "METHODS",
    "by_id",
    "candidates",
    "candidates_of",
    "known_files",
    "method_of",
    "methods_for",
    "named_by_user",
    "preference",
    "readers",
    "variants",
]

METHODS: tuple[Method, ...] = (FACEID, INSTANTID, IP_ADAPTER, PHOTOMAKER, REDUX)
"""In the order in which the page lists them."""


def methods_for(purpose: Purpose, dim: int | None = None) -> tuple[Method, ...]:
    """Return the methods that take a reference for that purpose; of those for that cross attention dimension alone."""
    found = tuple(method for method in METHODS if method.purpose == purpose)
    return tuple(one for one in found if dim is None or any(dim in variant.bases for variant in one.variants))


def variants() -> tuple[Variant, ...]:
    """Return every variant, method by method, in Auto's order of preference inside each.

    >>> variants()[0]
    <Variant plusv2>
    """
    return tuple(variant for method in METHODS for variant in method.variants)


def preference(variant: Variant) -> int:
    """Return a variant's place in Auto's order of preference; the lowest is the best."""
    return variants().index(variant)


def by_id(variant_id: str) -> Variant:
    """Return the variant of that id; KeyError for an unknown one."""
    return {variant.id: variant for variant in variants()}[variant_id]


def named_by_user(variant_id: str) -> Variant:
    """Return the variant of that id. Raises MismatchError, naming the known ones."""
    try:
        return by_id(variant_id)
    except KeyError:
        known = ", ".join(variant.id for variant in variants())
        raise MismatchError(f"There is no variant '{variant_id}'. Known variants: {known}.") from None


def readers(encoder: str, purpose: Purpose) -> str:
    """Return the labels of the variants for a purpose that need that image encoder, in words."""
    found = [one for method in methods_for(purpose) for one in method.variants if encoder in one.encoders]
    return " and ".join(one.label for one in found) or "no variant"


def method_of(variant: Variant) -> Method:
    """Return the method that a variant belongs to."""
    return next(method for method in METHODS if any(one.id == variant.id for one in method.variants))


def candidates(shapes: Shapes, cross_attention_dim: int) -> tuple[Variant, ...]:
    """Return every variant that these tensors can be read as. More than one is a tie that shapes cannot break."""
    return tuple(one for one in variants() if one.matches(shapes) and cross_attention_dim in one.bases)


def candidates_of(method: Method, shapes: Shapes) -> tuple[Variant, ...]:
    """Return every variant of a method that these tensors can be read as."""
    return tuple(one for one in method.variants if one.matches(shapes))


def known_files() -> dict[str, str]:
    """Return the SHA-256 of the published files that shapes alone cannot tell apart -> variant id."""
    return {digest: variant for method in METHODS for digest, variant in method.known_files.items()}
