"""An adapter: a variant and the weights of one file. It turns references into effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_many, as_number, require
from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.effects.effect import ContextTokens, CrossAttention, Effect, EffectKind, Lora
from lib_faceid.effects.lora import LoraPair
from lib_faceid.effects.text import Text
from lib_faceid.effects.tokens import ContextPart, Tokens
from lib_faceid.encoders.features import ARCFACE, PIXELS
from lib_faceid.errors import FileError, MismatchError
from lib_faceid.faces.recognisers import untrained_note
from lib_faceid.methods import registry
from lib_faceid.methods.encoded import ContextReference, EncodedReference, WrittenReference
from lib_faceid.methods.method import Builder, Purpose, Reads, Variant
from lib_faceid.references.negative import BLANK, Negative
from lib_faceid.references.reference import Features, Reference

__all__ = ["Adapter"]


@dataclass(frozen=True, eq=False)
class Adapter:
    """The weights of one adapter file, on the CPU, in the file's dtype.

    >>> adapter = load_adapter("ip-adapter-faceid_sd15.safetensors")
    >>> adapter.variant.id, adapter.base, adapter.cross_attention_dim
    ('faceid', 'SD 1.5', 768)
    >>> adapter.encode(Identity.load("me.safetensors")).cond.shape  # tokens
    torch.Size([4, 768])
    """

    name: str
    fingerprint: str
    """Changes whenever the file does."""
    variant: Variant
    assumed: str
    """Why this variant, where the file itself does not say; empty where it does."""
    image_proj_state: Mapping[str, Tensor]
    to_k_ip: Mapping[int, Tensor]
    """Layer number (odd) -> [hidden, cross_attention_dim]; empty where it acts in no UNet."""
    to_v_ip: Mapping[int, Tensor]
    lora: Mapping[int, Mapping[str, LoraPair]]
    """Layer number -> `q`, `k`, `v`, `out` -> factors; empty where the variant has no LoRA."""
    recogniser: str = ""
    """The face recogniser whose vectors it was trained on: the file's metadata, else the variant's; "" for none."""

    @property
    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Give every tensor of the file that is used, with its published name."""
        yield from ((f"image_proj.{key}", tensor) for key, tensor in self.image_proj_state.items())
        for number in self.to_k_ip:
            yield f"ip_adapter.{number}.to_k_ip.weight", self.to_k_ip[number]
            yield f"ip_adapter.{number}.to_v_ip.weight", self.to_v_ip[number]
        for number, pairs in self.lora.items():
            for kind, pair in pairs.items():
                yield f"ip_adapter.{number}.to_{kind}_lora.down.weight", pair.down
                yield f"ip_adapter.{number}.to_{kind}_lora.up.weight", pair.up

    @property
    def cross_attention_dim(self) -> int:
        """768 for SD 1.5, 2048 for SDXL, 4096 for FLUX.1."""
        return next((weight.shape[1] for weight in self.to_k_ip.values()), self.variant.bases[0])

    @property
    def widths(self) -> list[int]:
        """The widths of the cross-attention layers that it is for, sorted."""
        if self.to_k_ip:
            return sorted(weight.shape[0] for weight in self.to_k_ip.values())
        return sorted(pairs["q"].up.shape[0] for number, pairs in self.lora.items() if number % 2)

    @property
    def base(self) -> str:
        """The base model it is for, in words."""
        return BASE_LABELS[self.cross_attention_dim]

    @property
    def purpose(self) -> Purpose:
        """What it takes a reference for."""
        return registry.method_of(self.variant).purpose

    @property
    def lora_hint(self) -> str:
        """What the names of files contain that have its method's LoRA alone."""
        return registry.method_of(self.variant).file_hint

    @property
    def effect_kinds(self) -> frozenset[EffectKind]:
        """The kinds of effects that it may have on a job."""
        drawn: EffectKind = "text" if self.variant.trigger else self.variant.makes
        return frozenset({drawn, "lora"} if self.lora else {drawn})

    @property
    def image_proj(self) -> nn.Module:
        """The projection network, float32 on the CPU; made anew each time, as what it gives is kept and it is large.

        Raises FileError when the tensors do not make one.
        """
        return self._built(self.variant.network)

    def _built(self, network: Builder) -> nn.Module:
        try:
            return network(self.image_proj_state)
        except (RuntimeError, ValueError, LookupError, ArithmeticError) as error:
            reason = " ".join(str(error).split())[-160:]  # torch names the class first
            raise FileError(f"{self.name} is no whole {self.variant.label} file ({reason}).") from error

    def tokens(
        self,
        references: Reference | Iterable[Reference],
        settings: Mapping[str, float] | None = None,
        negative: Negative = BLANK,
    ) -> CrossAttention:
        """Return the effect of references on the cross-attention: one for all images of a batch, or one for each.

        settings: values of the unit's fields that the variant's network takes, such as `structure`.
        Raises MismatchError when a reference lacks features that the variant reads.
        """
        given, made = self._network_settings(settings), self._checked(references)
        return CrossAttention(self, [EncodedReference(self, one, given, negative) for one in made])

    def context(
        self, references: Reference | Iterable[Reference], settings: Mapping[str, float] | None = None
    ) -> ContextTokens:
        """Return the effect of references on a transformer's context, as `tokens` on a UNet's cross-attention."""
        given, made = self._network_settings(settings), self._checked(references)
        return ContextTokens(self.name, [ContextReference(self, one, given) for one in made])

    def _checked(self, references: Reference | Iterable[Reference]) -> tuple[Reference, ...]:
        """Return references of which all is known that the variant reads. Raises MismatchError."""
        expected = "a reference, as identity_from_photos(photos) or Identity.load(path) gives one,"
        found = as_many(references, "references", Reference, expected)
        self._require_readable(found)
        return found

    def text(self, references: Sequence[Reference]) -> Text:
        """Return the effect of references on the text, of an adapter that writes them into it.

        Raises MismatchError as `tokens`.
        """
        self._require_readable(references)
        return Text(self, [WrittenReference(self, one) for one in references], self.variant.trigger)

    def effects(
        self, references: Sequence[Reference], settings: Mapping[str, float], negative: Negative = BLANK
    ) -> tuple[Effect, ...]:
        """Return everything that references do to a job. settings: of the unit, `lora` among them.

        Raises MismatchError for a negative reference where there is no negative side.
        """
        if self.variant.makes == "context":
            if negative.reference is not None or negative.noise:
                raise MismatchError(
                    f"{self.base} draws without a negative side, so nothing can be led away from: leave 'Less like' "
                    "(negative_images) empty, and noise at 0."
                )
            return (self.context(references, settings),)
        strength = settings.get("lora", 0.0) if self.lora else 0.0
        drawn = self.text(references) if self.variant.trigger else self.tokens(references, settings, negative)
        return (drawn, Lora(self, strength)) if strength else (drawn,)

    @torch.no_grad()
    def encode(
        self, reference: Reference, settings: Mapping[str, float] | None = None, negative: Negative = BLANK
    ) -> Tokens:
        """Return a reference's tokens: those of all its pictures one after the other, or their weighted average.

        Uncond is the projection of the blank features, as in training (never zero tokens), unless `negative` puts
        others there. Raises MismatchError when the reference lacks features that the variant reads.
        """
        require(reference, "reference", Reference, "an Identity, or another reference,")
        negative.require_comparable(reference)
        cond_inputs, uncond_inputs = self._inputs(reference, negative)
        network = self.image_proj
        with torch.autocast("cpu", enabled=False):
            given = self._network_settings(settings)
            cond, uncond = (network(*inputs, **given) for inputs in (cond_inputs, uncond_inputs))
        if reference.tokens == "average":
            return Tokens(torch.tensordot(reference.relative_weights, cond, dims=1), uncond[0])
        return Tokens(cond.flatten(0, 1), uncond.flatten(0, 1))

    @torch.no_grad()
    def encode_rows(self, reference: Reference) -> Tensor:
        """Return a reference's rows for the text, [pictures * rows, width]: those of all its pictures in order."""
        inputs = [read.of(self._features(reference, read).values) for read in self.variant.reads]
        network = self.image_proj
        with torch.autocast("cpu", enabled=False):
            return network(*inputs).flatten(0, 1)

    @torch.no_grad()
    def fused(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Return rows of a text with a reference's in them, all [n, width], float32 on the CPU."""
        if self.variant.fuse is None:
            raise MismatchError(f"{self.name} is {self.variant.label}, which writes nobody into a text.")
        return self._built(self.variant.fuse)(rows, ids)

    @torch.no_grad()
    def encode_context(self, reference: Reference, settings: Mapping[str, float] | None = None) -> ContextPart:
        """Return a reference's tokens for a context: those of all its pictures, one after the other, or their average.

        One after the other, each picture counts as much as its weight. Raises MismatchError as `encode` does.
        """
        network, given = self.image_proj, self._network_settings(settings)
        with torch.autocast("cpu", enabled=False):
            inputs = [read.of(self._features(reference, read).values) for read in self.variant.reads]
            tokens: Tensor = network(*inputs, **given)
        if reference.tokens == "average":
            tokens = torch.tensordot(reference.relative_weights, tokens, dims=1)[None]
        weights = torch.tensor(reference.weights if len(tokens) > 1 and reference.weights else [1.0] * len(tokens))
        return ContextPart(tokens.flatten(0, 1), weights.repeat_interleave(tokens.shape[1]))

    def _network_settings(self, settings: Mapping[str, float] | None) -> dict[str, float]:
        given = require(settings or {}, "settings", Mapping, "values of the unit's fields by name")
        numbers = {name: as_number(value, name) for name, value in given.items()}
        return {name: value for name, value in numbers.items() if name in self.variant.network_settings}

    def _inputs(self, reference: Reference, negative: Negative) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the network is called with for cond and for uncond: all that the variant reads, in order."""
        cond: list[Tensor] = []
        uncond: list[Tensor] = []
        for number, read in enumerate(self.variant.reads):
            own = self._features(reference, read)
            cond.append(read.of(own.values))
            blank = read.of(negative.features(read.key, own))
            uncond.append(blank if number else negative.with_noise(blank, cond[0]))
        return cond, uncond

    def _require_readable(self, references: Sequence[Reference]) -> None:
        """Raise MismatchError now, and not when the first step of a picture encodes the references."""
        for one in references:
            for read in self.variant.reads:
                self._features(one, read)
            self._require_recogniser(one)

    def _require_recogniser(self, reference: Reference) -> None:
        """Raise MismatchError for vectors of a recogniser that the adapter cannot read at all."""
        if self.variant.requires_recogniser and (note := untrained_note(reference.recogniser, self.recogniser)):
            raise MismatchError(f"{note} Make the person again from photos, or use another adapter.")

    def _features(self, reference: Reference, read: Reads) -> Features:
        found = reference.features.get(read.key)
        if found is None and read.key == PIXELS:
            raise MismatchError(
                f"{self.name} is {self.variant.label}, which reads the photos themselves, and a saved person has none. "
                "Give the photos instead of the saved person, or use another adapter."
            )
        if found is None:
            feature = "a face recogniser's vector" if read.key == ARCFACE else f"CLIP features ({read.key.encoder})"
            raise MismatchError(
                f"{self.name} is {self.variant.label}, which reads {feature}, and this reference was made without. "
                f"Make it again from its pictures, or use an adapter that does not need them."
            )
        return found
