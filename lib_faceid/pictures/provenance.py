"""That a picture was made by a model, written into its file as IPTC's `DigitalSourceType`: XMP, which readers know."""

from __future__ import annotations

__all__ = ["SOURCE_TYPE", "XMP", "XMP_KEY"]

XMP_KEY = "XML:com.adobe.xmp"
"""Under which PNG keeps XMP (an iTXt chunk)."""
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# The mark in `begin` belongs to the format, and makes an iTXt of the text in every program that writes one with Pillow.
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
