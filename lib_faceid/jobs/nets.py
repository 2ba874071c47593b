"""The ControlNet that a unit's adapter was trained together with: its file found, and the face that it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lib_faceid.effects.effect import Control, CrossAttention, require_carried
from lib_faceid.errors import FaceIDError, MismatchError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.keypoints import KeyPoints
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.face_pictures import FacePicture
from lib_faceid.jobs.reading import AnyJoined
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.nets import find_net
from lib_faceid.pictures.requested import RequestPolicy, photo_from_request
from lib_faceid.references.face_choice import Skipped, look_at
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import WHOLE, Box, which_face
from lib_faceid.units.unit import ONE_EACH, Unit

__all__ = ["box_of_region", "control_of", "points_in"]

NO_PHOTO = (
    "The saved person has no photo here, so the face looks straight out in the middle of its place. For another pose "
    "give a pose photo (pose)."
)


def control_of(
    unit: Unit,
    adapter: Adapter,
    joined: Sequence[AnyJoined],
    tokens: CrossAttention | None,
    region: Region | None,
    models: Models,
) -> tuple[Control | None, list[str]]:
    """Return what a unit's ControlNet does to the job, and what is to be known of it. None: it has or wants none.

    Raises FaceIDError: the host cannot carry it, its file is damaged, a pose photo has no face.
    """
    net = adapter.variant.net
    if net is None or tokens is None or unit.net_weight == 0:
        return None, []
    found, how = find_net(net, models.adapter_files(), adapter.widths, models.file_hash)
    if found is None:
        note = (
            f"{net.label} is not here, so the adapter draws alone: likeness without the photo's pose. Put "
            f"{net.file_name} into models/faceid, or set the net strength (net_weight) to 0 to be told no more."
        )
        return None, [note]
    try:
        require_carried({"residuals"}, models.carries, net.label, models.host)
    except FaceIDError as error:
        raise type(error)(
            f"{error} Or set the net strength (net_weight) to 0: then the adapter draws alone."
        ) from error
    from lib_faceid.effects.net_file import net_file  # here, as most jobs have none

    file = net_file(found)
    _ = file.tensors  # a damaged file is said now, and not when the first step comes
    places = [_key_points(unit, number, one, models, adapter) for number, one in enumerate(joined)]
    pictures = [FacePicture(points, box_of_region(region)) for points, _ in places]
    notes = dict.fromkeys(filter(None, [how, *(note for _, note in places)]))
    return Control(file, net.label, tokens.sources, pictures, models.file_hash(found)), list(notes)


def _key_points(unit: Unit, number: int, joined: AnyJoined, models: Models, adapter: Adapter) -> tuple[KeyPoints, str]:
    """Return the face that a reference's ControlNet is shown, and what was assumed."""
    if unit.keypoints == "region":
        return KeyPoints.frontal(), ""
    analyser = partial(models.analyser_for, adapter)
    if unit.pose is not None:
        return points_in(unit.pose, "the pose photo", "largest", models.policy(), analyser), ""
    photos = [unit.images[number]] if unit.batch == ONE_EACH and unit.images else unit.images
    used = next((use for use in joined.photos if use.is_used), None)
    if used is None:
        return KeyPoints.frontal(), NO_PHOTO
    photo = photos[used.number - 1].image
    return points_in(photo, f"reference {used.number}", unit.face, models.policy(), analyser), ""


def points_in(
    picture: object, where: str, face: str, policy: RequestPolicy, analyser: Callable[[], FaceAnalyser]
) -> KeyPoints:
    """Return the key points of a face in a photo, which most often was looked at before. Raises FaceIDError.

    where: how messages call the photo; face: which one in it; analyser: gives the face models.
    """
    photo = photo_from_request(picture, policy)
    seen = look_at(photo, where, analyser(), which_face(face))
    if isinstance(seen, Skipped):
        raise seen.error or MismatchError(seen.reason)
    return KeyPoints(seen.face.points, seen.photo.size_px)


def box_of_region(region: Region | None) -> Box:
    """Return where a unit's photo is put: into its region, or into the box around its mask."""
    if region is None or region.mask is None:
        return region.box if region else WHOLE
    rows, columns = region.mask.any(1).nonzero(), region.mask.any(0).nonzero()
    if not len(rows):
        return WHOLE
    height, width = region.mask.shape
    edges = columns[0].item(), rows[0].item(), columns[-1].item() + 1, rows[-1].item() + 1
    return Box.from_px(edges, width, height)
