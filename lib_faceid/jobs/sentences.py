"""What a job says of what did not reach the UNet."""

from __future__ import annotations

__all__ = ["INTERRUPTED", "LOST", "NOT_REACHED", "OTHERS", "UNCONTROLLED", "UNPLACED", "UNREACHED"]

NOT_REACHED = (
    "no step reached it. Widen start and end, or switch other extensions off one by one to find the one "
    "that replaces the UNet."
)
INTERRUPTED = "it was interrupted before a step reached it."
LOST = (
    "the UNet was given another prompt than the one that FaceID marked. Switch other extensions off one by one to find "
    "the one that puts its own in place."
)
OTHERS = (
    "Another extension called the UNet with prompts of its own; nobody was added to what it draws with them. Number of "
    "such calls:"
)
UNPLACED = (
    "FaceID: the regions did NOT hold, the units acted everywhere: another extension draws the picture in parts, and "
    "where they lie could not be read. Switch it off, or the regions. Number of UNet calls with such parts:"
)
UNREACHED = (
    "FaceID: the ControlNets were NOT applied: the UNet was run in a way that its blocks do not see. Switch other "
    "extensions off one by one, or set the net strength to 0. Number of such UNet calls:"
)
UNCONTROLLED = (
    "FaceID: the faces' places and poses were NOT followed: another extension draws the picture in parts, and where "
    "they lie could not be read. Switch it off, or set the net strength to 0. Number of UNet calls with such parts:"
)
