"""An XMP packet as a tree: parsed within limits, written back with everything that was in it.

The same statement can be spelt in several ways in RDF; the readers here take all that occur in
photographs. What a face region is, and where packets are kept, is said in the modules beside this.
"""

from collections.abc import Iterator
from typing import Final
from xml.dom import DOMException
from xml.dom.minidom import CDATASection, Comment, Document, Element, Node, ProcessingInstruction
from xml.dom.minidom import Text as TextNode
from xml.parsers.expat import ExpatError

from defusedxml import expatbuilder

from mien.core.errors import MediaError

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_XMLNS: Final = "http://www.w3.org/2000/xmlns/"
_MAX_TAGS: Final = 100_000  # of 1 MiB of empty elements a tree would take a gigabyte
_MAX_DEPTH: Final = 100
_PARSER_ERRORS: Final = (ExpatError, DOMException, ValueError, LookupError, AssertionError)
_NEW: Final = f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def parse_packet(data: bytes, source: str, max_bytes: int) -> Document:
    """The tree of a packet from anywhere.

    Args:
        data: The packet, with or without padding.
        source: How to call it in messages.
        max_bytes: Larger packets are refused unread.

    Raises:
        MediaError: If it is too large or too deep, not XML, declares entities, or is no XMP.
    """
    if len(data) > max_bytes:
        raise MediaError(
            what=f"the XMP in {source} has more than {max_bytes:,} bytes",
            why="that is above the limit max_bytes, which keeps memory bounded",
            mend="pass max_bytes=... if you trust it",
            limit=max_bytes,
        )
    if data.count(b"<") > _MAX_TAGS:
        raise _malformed(source, f"it has more than {_MAX_TAGS:,} tags")
    stripped = data if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else data.strip(b"\0 \t\r\n")
    try:
        document: Document = expatbuilder.parseString(stripped, forbid_dtd=True)
    except _PARSER_ERRORS as err:
        raise _malformed(source, str(err) or type(err).__name__) from err
    if _depth(document) > _MAX_DEPTH:
        raise _malformed(source, f"it is nested more than {_MAX_DEPTH} deep")
    if _root(document) is None:
        raise _malformed(source, "it has no rdf:RDF")
    return document


def new_packet() -> Document:
    """The tree of a packet that says nothing."""
    document: Document = expatbuilder.parseString(_NEW.encode())
    return document


def write_packet(document: Document) -> bytes:
    """A tree as UTF-8: prefixes, comments, order and unknown parts as they were read."""
    declared = ['<?xml version="1.0" encoding="UTF-8"?>\n'] if document.version else []
    parts = [f"{''.join(_spell(node))}\n" for node in document.childNodes]
    return "".join([*declared, *parts]).encode()


def _spell(node: Node) -> Iterator[str]:
    if isinstance(node, Element):
        yield f"<{node.tagName}"
        for name, value in node.attributes.items():
            yield f' {name}="{escape(value)}"'
        yield ">" if node.childNodes else "/>"
        for child in node.childNodes:
            yield from _spell(child)
        if node.childNodes:
            yield f"</{node.tagName}>"
    elif isinstance(node, CDATASection):
        yield f"<![CDATA[{node.data}]]>"
    elif isinstance(node, TextNode):
        yield escape(node.data, "&<>\r")
    elif isinstance(node, Comment):
        yield f"<!--{node.data}-->"
    elif isinstance(node, ProcessingInstruction):
        yield f"<?{node.target} {node.data}?>"


def escape(text: str, marks: str = '&<>"\t\n\r') -> str:
    """Text as it has to be spelt in XML; by default within a quoted attribute."""
    return "".join(f"&#{ord(letter)};" if letter in marks else letter for letter in text)


def descriptions(document: Document) -> list[Element]:
    """The elements that hold what is said about the picture itself.

    Only the outermost ones: a packet may quote the packets of pictures it was made from.
    """
    root = _root(document)
    return [] if root is None else _children(root, RDF, "Description")


def rdf_root(document: Document) -> Element:
    """The ``rdf:RDF`` of a tree from `parse_packet` or `new_packet`."""
    root = _root(document)
    assert root is not None, "every tree here was checked to have one"  # noqa: S101
    return root


def _root(document: Document) -> Element | None:
    top = document.documentElement
    if top is None or (top.namespaceURI, top.localName) == (RDF, "RDF"):
        return top
    return next(iter(_children(top, RDF, "RDF")), None)


def find_member(struct: Element, uri: str, name: str) -> Element | None:
    """A member of a structure that is spelt as an element."""
    for holder in _holders(struct):
        for child in _children(holder, uri, name):
            return child
    return None


def read_text(struct: Element, uri: str, name: str) -> str | None:
    """A member of a structure as text, whether it is spelt as an attribute or as an element."""
    for holder in _holders(struct):
        if holder.hasAttributeNS(uri, name):
            return holder.getAttributeNS(uri, name)
    member = find_member(struct, uri, name)
    if member is None:
        return None
    value = next(iter([*list_items(member), *_children(member, RDF, "value")]), member)
    return "".join(child.data for child in value.childNodes if isinstance(child, TextNode))


def list_items(member: Element) -> list[Element]:
    """The items of a list, ordered or not."""
    return [
        item
        for kind in ("Bag", "Seq", "Alt")
        for found in _children(member, RDF, kind)
        for item in _children(found, RDF, "li")
    ]


def open_struct(struct: Element) -> Element:
    """The element that further members of a structure may be put into, made if need be."""
    found = _children(struct, RDF, "Description")
    if found:
        return found[0]
    if struct.getAttributeNS(RDF, "parseType") == "Resource":
        return struct
    inner = append_xml(struct, f'<rdf:Description xmlns:rdf="{RDF}"/>')
    for attribute in list(struct.attributes.values()):
        if attribute.namespaceURI not in {RDF, _XMLNS}:
            inner.setAttributeNS(attribute.namespaceURI, attribute.name, attribute.value)
            struct.removeAttributeNode(attribute)
    for child in list(struct.childNodes):
        if child is not inner:
            inner.appendChild(child)
    return inner


def drop_member(struct: Element, uri: str, name: str) -> None:
    """Remove a member of a structure, however it is spelt."""
    for holder in _holders(struct):
        if holder.hasAttributeNS(uri, name):
            holder.removeAttributeNS(uri, name)
        for child in _children(holder, uri, name):
            holder.removeChild(child).unlink()


def append_xml(parent: Element, text: str) -> Element:
    """Append an element written as XML; prefixes that ``parent`` knows are not declared again."""
    document = parent.ownerDocument
    assert document is not None, "elements here belong to a document"  # noqa: S101
    parsed = expatbuilder.parseString(text.encode()).documentElement
    element: Element = document.importNode(parsed, deep=True)
    for attribute in list(element.attributes.values()):
        if attribute.namespaceURI == _XMLNS and _in_scope(parent, attribute.name, attribute.value):
            element.removeAttributeNode(attribute)
    parent.appendChild(element)
    return element


def _in_scope(element: Node | None, declaration: str, uri: str) -> bool:
    while isinstance(element, Element):
        if element.hasAttribute(declaration):
            return element.getAttribute(declaration) == uri
        element = element.parentNode
    return False


def _holders(struct: Element) -> list[Element]:
    """The elements whose attributes and children are the members of a structure."""
    return [struct, *_children(struct, RDF, "Description")]


def _children(parent: Element, uri: str, name: str) -> list[Element]:
    return [
        child
        for child in parent.childNodes
        if isinstance(child, Element) and (child.namespaceURI, child.localName) == (uri, name)
    ]


def _depth(document: Document) -> int:
    depth, level = 0, list[Node](document.childNodes)
    while level and depth <= _MAX_DEPTH:
        depth, level = depth + 1, [child for node in level for child in node.childNodes]
    return depth


def _malformed(source: str, reason: str) -> MediaError:
    return MediaError(
        what=f"the XMP in {source} cannot be read",
        why=reason,
        mend="write it again with the program that made it, or remove it",
    )
