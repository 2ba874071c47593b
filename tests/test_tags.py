"""People called from the prompt: every form of a tag, every mistake in one, and text that has none."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_faceid.errors import UnitError
from lib_faceid.units.infotext import infotext_key, pasted, unit_to_infotext
from lib_faceid.units.prompt_units import units_of_batch, units_of_passes
from lib_faceid.units.tags import Names, Tag, find_tags, nobody, tag_for, tag_key, units_of, units_of_tags
from lib_faceid.units.unit import FIELDS, Purpose, Unit

# The WebUI's own pattern for a tag of any extra network (modules/extra_networks.py of v1.10.1).
HOST_TAG = re.compile(r"<(\w+):([^>]+)>")
SAVED = ("Anna", "Anna Maria", "Jürgen Groß", "O'Hara (2019), old", "小林", "a=b", "Bert", "Ratio 4:3", "back\\slash")
IMAGES = ("Sunset", "Old oil: no 2", "Both", "bert's sketch")


def saved(purpose: Purpose) -> tuple[str, ...]:
    return SAVED if purpose == "person" else IMAGES


def people(*names: str) -> Names:
    """A library of people alone."""
    return lambda purpose: names if purpose == "person" else ()


def nobody_is_asked(_: Purpose) -> tuple[str, ...]:
    raise AssertionError("a prompt without a tag needs no library")


def called(prompt: str, negative: str = "") -> list[Unit]:
    return units_of_tags(prompt, negative, saved)[1]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("Anna", {"person": "Anna"}),
        ("Anna:0.6", {"person": "Anna", "weight": 0.6}),
        (" Anna : 1 ", {"person": "Anna", "weight": 1}),
        ("Anna::", {"person": "Anna"}),
        ("anna maria:.5", {"person": "Anna Maria", "weight": 0.5}),
        ("Jürgen Groß:0.6", {"person": "Jürgen Groß", "weight": 0.6}),
        (unicodedata.normalize("NFD", "JÜRGEN GROSS"), {"person": "Jürgen Groß"}),
        ("小林:1.2", {"person": "小林", "weight": 1.2}),
        ("O'Hara (2019), old:0.4", {"person": "O'Hara (2019), old", "weight": 0.4}),
        (r"O'Hara \(2019\), old", {"person": "O'Hara (2019), old"}),
        ("a=b:0.4", {"person": "a=b", "weight": 0.4}),
        (r"Ratio 4\:3:0.4", {"person": "Ratio 4:3", "weight": 0.4}),
        (r"back\\slash", {"person": "back\\slash"}),
        ("Anna:0.6:left", {"person": "Anna", "weight": 0.6, "region": "left"}),
        ("Anna::top right", {"person": "Anna", "region": "top right"}),
        ("Anna:1: box 0.1 0.2 0.6 0.9:feather=0", {"person": "Anna", "weight": 1, "region": "box 0.1 0.2 0.6 0.9",
                                                  "feather": 0}),
        (r"Anna:layer_weights=3\:2.5,6\:1", {"person": "Anna", "layer_weights": "3:2.5,6:1"}),
        ("Anna:region=auto", {"person": "Anna", "region": "auto"}),
        ("Anna:start=0.2:end = 0.7", {"person": "Anna", "start": 0.2, "end": 0.7}),
        ("Anna:0.6:structure=1.5:lora=0", {"person": "Anna", "weight": 0.6, "structure": 1.5, "lora": 0}),
        ("Anna:weight=0.6:adapter=ip-adapter-faceid_sd15.bin:hires=first",
         {"person": "Anna", "weight": 0.6, "adapter": "ip-adapter-faceid_sd15.bin", "hires": "first"}),
    ],
)  # fmt: skip
def test_a_tag_is_a_unit(tag: str, expected: dict[str, object]) -> None:
    rest, units = units_of_tags(f"a photo <faceid:{tag}>, smiling", "", saved)
    assert rest == "a photo , smiling"
    assert units == [Unit.from_dict(expected)]
    assert units[0].enabled


def test_tags_are_taken_out_where_the_webui_takes_them_out() -> None:
    prompt = "(<faceid:Anna:0.4>:1.2) [x:<faceid:Bert>:0.5] \\<lora:other:1> <faceid:Anna:0.4>"
    rest, units = units_of_tags(prompt, "", saved)
    assert [(unit.person, unit.weight) for unit in units] == [("Anna", 0.4), ("Bert", 0.8), ("Anna", 0.4)]
    assert rest == HOST_TAG.sub(lambda found: "" if found[1] == "faceid" else found[0], prompt)


MISTAKES = {
    "Ana:0.8": r"calls 'Ana' .* no saved person .* Did you mean <faceid:Anna:0\.8>\? Saved people: Anna, Anna Maria",
    "A:B": "calls 'A'",
    ":0.8": "calls ''",
    "../../etc/passwd": "calls '../../etc/passwd'",
    "Anna:strong": r"<faceid:Anna:strong> in the prompt: weight is 'strong'; a number from 0 to 2 was expected\. A tag",
    "Anna:0,8": "weight is '0,8'",
    "Anna:7": "weight is 7.0; a number from 0 to 2",
    "Anna:nan": "weight is nan",
    "Anna:left": "weight is 'left'; .* A tag is <faceid:NAME:weight:region:setting=value>",
    "Anna:0.8:lefft": "region is 'lefft'; one of everywhere, auto, left, right",
    "Anna:0.8:mask": "region is 'mask', but there is no mask",
    "Anna:mask=x": "mask cannot be set in a tag",
    "Anna:0.8:left:right": "'right' is one part too many",
    "Anna:0.8:wieght=1": "unknown field 'wieght' .did you mean 'weight'",
    "Anna:0.8:weight=0.5": "weight is given twice",
    "Anna:start=0.9:end=0.1": "start must come before end",
    "Anna:hires=never": "hires is 'never'; one of both, first, hires",
    "Anna:images=x": "images cannot be set in a tag",
    "Anna:image=x": "image cannot be set in a tag",
    "Anna:person=Bert": "person cannot be set in a tag",
    "Anna:enabled=no": "enabled cannot be set in a tag",
    "Anna:purpose=image": "purpose cannot be set in a tag",
    "Anna <lora:other:1": "not a whole tag",
}


@pytest.mark.parametrize("tag", MISTAKES)
def test_a_mistake_is_named(tag: str) -> None:
    with pytest.raises(UnitError, match=MISTAKES[tag]):
        called(f"a photo <faceid:{tag}>")


@pytest.mark.parametrize(
    "prompt",
    ["<faceid>", "<faceid:>", "< faceid:Anna>", "<FaceID:Anna>", "<faceid :Anna>", "a <faceid:Anna", "<faceid Anna>"],
)
def test_half_a_tag_is_neither_dropped_nor_read_as_words(prompt: str) -> None:
    with pytest.raises(UnitError, match="is not a whole tag"):
        called(prompt)


@pytest.mark.parametrize(
    "prompt", ["<faceid_other:Anna>", "<faceid-other>", "faceid: Anna", "<lora:faceid:1>", "< Anna >"]
)
def test_what_is_no_tag_of_ours_is_left_alone(prompt: str) -> None:
    assert units_of_tags(prompt, prompt, nobody_is_asked) == (prompt, [])


@pytest.mark.parametrize("negative", ["blurry <faceid:Anna:0.8>", "<faceid:Nobody>", "<FaceID:Anna", "< faceid:>"])
def test_the_negative_prompt_calls_nobody(negative: str) -> None:
    with pytest.raises(UnitError, match=r"The negative prompt has a <faceid:\.\.\.> tag"):
        called("a photo", negative)


def test_nobody_saved_and_many_saved() -> None:
    with pytest.raises(UnitError, match="Nobody is saved yet"):
        units_of([Tag("Anna")], nobody)
    many = [f"person {number}" for number in range(30)]
    with pytest.raises(UnitError, match=r"person 19 and 10 more\.$"):
        units_of([Tag("Anna")], people(*many))


def test_capitals_count_where_two_names_differ_in_nothing_else() -> None:
    assert units_of([Tag("anna")], people("Anna", "anna"))[0].person == "anna"
    with pytest.raises(UnitError, match=r"Did you mean <faceid:Anna:0\.8>"):
        units_of([Tag("ANNA")], people("Anna", "anna"))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("Sunset", {"person": "Sunset"}),
        ("sunset:0.6", {"person": "Sunset", "weight": 0.6}),
        (r"Old oil\: no 2:0.5:left", {"person": "Old oil: no 2", "weight": 0.5, "region": "left"}),
        ("Sunset:weight_type=style transfer:end=0.7",
         {"person": "Sunset", "weight_type": "style transfer", "end": 0.7}),
    ],
)  # fmt: skip
def test_the_tag_of_an_image_is_a_unit_for_an_image(tag: str, expected: dict[str, object]) -> None:
    rest, units = units_of_tags(f"a boat <image:{tag}>, at sea", "", saved)
    assert rest == "a boat , at sea"
    assert units == [Unit.from_dict(expected | {"purpose": "image"})]


def test_people_come_before_images_wherever_they_stand() -> None:
    units = called("<image:Sunset> <faceid:Bert> <image:Both:0.5> <faceid:Anna>")
    assert [(unit.purpose, unit.person) for unit in units] == [
        ("person", "Bert"), ("person", "Anna"), ("image", "Sunset"), ("image", "Both"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (
            "<image:Anna:0.8>",
            r"'Anna' with a <image:\.\.\.> tag, and that is a saved person\. Write <faceid:Anna:0\.8>",
        ),
        (
            "<faceid:sunset>",
            r"'sunset' with a <faceid:\.\.\.> tag, and that is a saved image\. Write <image:Sunset:0\.8>",
        ),
        ("<image:Sunrise>", r"no saved image of that name\. .*Saved images: Sunset, Old oil: no 2, Both"),
        ("<image:Sunst>", r"Did you mean <image:Sunset:0\.8>\?"),
        ("<image:Sunset:image_crop=whole>", "image_crop cannot be set in a tag"),
        ("<image:Sunset:9>", r"<image:Sunset:9> in the prompt: weight .* A tag is <image:NAME"),
        ("<Image:Sunset>", r"is not a whole tag\. Write <image:NAME"),
        ("< image :Sunset", r"is not a whole tag\. Write <image:NAME"),
    ],
)
def test_a_mistake_in_the_tag_of_an_image_is_named(prompt: str, words: str) -> None:
    with pytest.raises(UnitError, match=words):
        called(prompt)


@pytest.mark.parametrize("prompt", ["<image>", "an <image of a cat>", "<image_1>", "image: a cat", "<lora:image:1>"])
def test_the_word_image_alone_is_no_tag(prompt: str) -> None:
    assert units_of_tags(prompt, prompt, nobody_is_asked) == (prompt, [])


def test_a_library_is_asked_once_for_each_kind_of_name_that_a_tag_needs() -> None:
    asked: list[Purpose] = []

    def names(purpose: Purpose) -> tuple[str, ...]:
        asked.append(purpose)
        return saved(purpose)

    units_of_tags("<faceid:Anna> <faceid:Bert>", "", names)
    assert asked == ["person"]


def test_no_image_is_called_from_the_negative_prompt() -> None:
    with pytest.raises(UnitError, match=r"<image:\.\.\.> tag, .* images are called from the prompt only"):
        called("a photo", "blurry <image:Sunset>")


def test_no_image_is_saved_yet() -> None:
    with pytest.raises(UnitError, match="No image is saved yet"):
        units_of([Tag("Sunset", "image")], nobody)


@pytest.mark.parametrize("name", IMAGES)
def test_the_tag_for_an_image_calls_that_image(name: str) -> None:
    tag = tag_for(name, 0.65, "image")
    assert called(f"x {tag}") == [Unit(enabled=True, purpose="image", person=name, weight=0.65)]
    assert HOST_TAG.fullmatch(tag)


@pytest.mark.parametrize("name", SAVED)
def test_the_tag_for_a_person_calls_that_person(name: str) -> None:
    assert called(f"x {tag_for(name, 0.65)}") == [Unit(enabled=True, person=name, weight=0.65)]
    assert HOST_TAG.fullmatch(tag_for(name))


@given(name=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>"), min_size=1))
def test_any_name_without_angle_brackets_can_be_called(name: str) -> None:
    name = name.strip()
    if name:
        assert [unit.person for unit in units_of(find_tags(tag_for(name))[1], people("x", name))] == [name]


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "<faceid:",
                "<image:",
                "<",
                ">",
                ":",
                "Anna",
                "0.8",
                "=",
                "\\",
                "start",
                "faceid",
                "left",
                " ",
                "region",
                "<lora:a:1>",
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=14,
).map("".join)


@given(prompt=PIECES, negative=PIECES)
def test_any_prompt_is_read_or_refused_in_words(prompt: str, negative: str) -> None:
    try:
        rest, units = units_of_tags(prompt, negative, saved)
    except UnitError:
        return
    assert len(units) == prompt.count("<faceid:") + prompt.count("<image:")
    assert rest == prompt if not units else "<faceid:" not in rest and "<image:" not in rest


@given(st.text())
def test_text_without_a_tag_is_untouched(text: str) -> None:
    if "faceid" not in text.lower() and "image" not in text.lower():
        assert units_of_tags(text, text, nobody_is_asked) == (text, [])


def unit(person: str, hires: str = "both") -> Unit:
    return Unit(enabled=True, person=person, hires=hires)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([unit("a")], [unit("a")], [("a", "both")]),
        ([unit("a")], [], [("a", "first")]),
        ([], [unit("a")], [("a", "hires")]),
        ([unit("a")], [unit("b")], [("a", "first"), ("b", "hires")]),
        ([unit("a"), unit("a")], [unit("a")], [("a", "both"), ("a", "first")]),
        ([unit("a", "hires")], [unit("a", "hires")], [("a", "hires")]),
        ([unit("a", "first")], [], [("a", "first")]),
    ],
)
def test_each_prompt_of_hires_fix_calls_for_its_own_pass(
    first: list[Unit], second: list[Unit], expected: list[tuple[str, str]]
) -> None:
    assert [(one.person, one.hires) for one in units_of_passes(first, second)] == expected


def test_a_tag_that_could_never_act_is_refused() -> None:
    with pytest.raises(UnitError, match="'a' with hires=hires, and stands in the prompt of the other pass only"):
        units_of_passes([unit("a", "hires")], [])


def test_the_images_of_a_batch_may_differ_in_names() -> None:
    anna, bert = unit("Anna"), replace(unit("Bert"), weight=0.5)
    assert units_of_batch([]) == []
    assert units_of_batch([[]]) == []
    assert units_of_batch([[anna, bert], [anna, bert]]) == [anna, bert]
    mixed = units_of_batch([[anna, bert], [anna, replace(bert, person="Carla")], [anna, bert]])
    assert mixed == [anna, replace(bert, person="Bert | Carla | Bert", batch="one each")]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ([], r"<faceid:Anna:0\.8> in image 1, nobody in image 2"),
        ([replace(unit("Anna"), weight=0.5)], r"<faceid:Anna:0\.5> in image 2"),
        ([replace(unit("Anna"), region="left")], "Set the batch size to 1"),
        ([unit("Anna"), unit("Anna")], "<faceid:Anna:0.8> <faceid:Anna:0.8> in image 2"),
    ],
)
def test_the_images_of_a_batch_may_differ_in_nothing_else(other: list[Unit], sentence: str) -> None:
    with pytest.raises(UnitError, match=sentence):
        units_of_batch([[unit("Anna")], other])


def test_metadata_do_not_bring_a_called_person_back_into_a_unit() -> None:
    """The prompt does that already, tag and all; units that the picture was drawn without are off."""
    params = {infotext_key(tag_key(0)): unit_to_infotext(unit("Anna"), "ip-adapter-faceid_sd15", "faceid")}
    told = {name: {pasted(params, number, name) for number in range(10)} for name in FIELDS}
    assert told == {name: {False if name == "enabled" else None} for name in FIELDS}
    assert re.fullmatch(r"\w[\w \-/]+", infotext_key(tag_key(0)))  # what the WebUI takes for a key
