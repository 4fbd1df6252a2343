"""From bytes to a tree that knows its lines; what cannot be read is refused with one clear message.

Only the words and their places are taken from the YAML library: what a word means is decided in
``yaml_words``, so that a file means here what W&B's reader makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from thetahat.core.yaml_words import known_tag, read_word, tagged_word

MAX_BYTES = 1_000_000
MAX_VALUES = 50_000
"""Values a file may hold, aliases followed: a few lines of aliases can stand for billions."""
MAX_DEPTH = 50


class Unreadable(Exception):
    """The file is no YAML that can be read; ``line`` says where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class At:
    """A value of the file, and where it stands."""

    value: Any
    """Python's own: dict, list, str, int, float, bool or None."""
    kind: str
    """"mapping", "list", "text", "int", "float", "bool", "null" or "date"."""
    line: int
    key: str
    text: str = ""
    """A word as it is written."""
    trap: str = ""
    name_kind: str = "text"
    """The kind of its own key: W&B's reader takes the key ``on`` for true."""
    inside: dict[Any, At] = field(default_factory=dict)

    def walk(self) -> Iterator[At]:
        """This value and all inside it."""
        yield self
        for child in self.inside.values():
            yield from child.walk()


def is_text(at: At) -> bool:
    """Whether a value is text, be it 1e-4, which only we would read as a number."""
    numbered = at.kind == "float" and read_word(at.text, plain=True, strict=True)[1] == "text"
    return at.kind == "text" or numbered


def as_written(at: At) -> str:
    """A value that is text, with the letters that stand in the file."""
    return at.text or at.value


@dataclass
class _Node:
    """A node of YAML while it is read: a word, a list, or a mapping's keys and values in turn."""

    shape: str
    line: int
    text: str = ""
    plain: bool = False
    tag: str = ""
    children: list[_Node] = field(default_factory=list)
    weight: int = 1
    depth: int = 1
    open: bool = True


def decoded(content: bytes) -> str:
    """The text of a file.

    Raises:  Unreadable: it is too large, or no UTF-8; the byte is named.
    """
    if len(content) > MAX_BYTES:
        raise Unreadable(
            1,
            f"the file has {len(content):,} bytes, and a sweep file may have {MAX_BYTES:,}; give"
            " ranges (min and max) in place of long lists of values",
        )
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable(1, f"the file is UTF-16, and must be UTF-8; {_SAVE}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise Unreadable(
            line, f"byte {error.start + 1} of the file (0x{byte:02x}) is no UTF-8; {_SAVE}"
        ) from None


_SAVE = "save the file as UTF-8 (every editor has that under «save with encoding»)"


def read_tree(text: str, *, strict: bool = False) -> tuple[At, list[tuple[At, int]]]:
    """The file as a tree, and each key that stands twice with the line of its first place.

    Raises:  Unreadable: a mistake of YAML's grammar, or far too many values.
    """
    root = _composed(text)
    if root is None:
        raise Unreadable(1, "the file is empty; it needs at least method and parameters")
    twice: list[tuple[At, int]] = []
    return _placed(root, root.line, "", twice, strict), twice


# -- events to nodes ------------------------------------------------------------------------------


def _composed(text: str) -> _Node | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _built(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        line, said = _grammar(text.splitlines(), error)
        raise Unreadable(line, said) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        said = f"a character that YAML does not allow (U+{_code(error):04X}); remove it"
        raise Unreadable(line, said) from None


def _code(error: Any) -> int:
    character = getattr(error, "character", 0)
    return ord(character) if isinstance(character, str) else int(character)


def _grammar(lines: list[str], error: Any) -> tuple[int, str]:
    """The line of a mistake in YAML's grammar, what it is, and the usual fix."""
    mark = error.problem_mark or error.context_mark
    line = 1 if mark is None else max(1, min(mark.line + 1, len(lines)))
    begun = error.context_mark.line + 1 if error.context_mark else line
    problem, context = str(error.problem or ""), str(error.context or "")
    written = lines[line - 1].strip() if lines else ""
    if "\\t" in problem:
        return line, "a tab in the indentation, which YAML does not allow; use spaces"
    if "mapping values are not allowed" in problem:
        said = f"a colon too many in «{written}», or a wrong indentation"
        return line, f"{said}; text with a colon goes in quotes"
    if "quoted scalar" in context:
        return begun, "a quote is opened here and never closed; close it"
    if "flow" in context:
        what = "[" if "sequence" in context else "{"
        return begun, f"the {what} here is never closed, or lacks a comma before line {line}"
    if "could not find expected ':'" in problem:
        return begun, f"«{lines[begun - 1].strip()}» has no colon after it; write key: value"
    said = problem or context or "it cannot be read"
    return line, f"this is no YAML: {said}; look at the indentation of «{written}»"


def _built(events: Any) -> _Node | None:
    """The nodes of the only document; aliases share the node they name."""
    from ruamel.yaml import events as kinds

    root: _Node | None = None
    stack: list[_Node] = []
    anchors: dict[str, _Node] = {}
    total = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, (kinds.MappingEndEvent, kinds.SequenceEndEvent)):
            node = stack.pop()
            node.open = False
            node.weight = 1 + sum(child.weight for child in node.children)
            node.depth = 1 + max((child.depth for child in node.children), default=0)
            _not_too_many(node.weight, node.line)
            _not_too_deep(node.depth, node.line)
            continue
        if isinstance(event, kinds.AliasEvent):
            node = _aliased(anchors, event.anchor, line)
        elif isinstance(event, kinds.ScalarEvent):
            plain = event.implicit[0] and event.style is None
            node = _Node("word", line, event.value, plain, event.tag or "", open=False)
        elif isinstance(event, (kinds.MappingStartEvent, kinds.SequenceStartEvent)):
            shape = "mapping" if isinstance(event, kinds.MappingStartEvent) else "list"
            node = _Node(shape, line, tag=event.tag or "")
        elif isinstance(event, kinds.DocumentStartEvent) and root is not None:
            raise Unreadable(line, "a second document begins here (---); keep one sweep in a file")
        else:
            continue
        total += 1
        _not_too_many(total, line)
        _checked_tag(node)
        if getattr(event, "anchor", None) and not isinstance(event, kinds.AliasEvent):
            anchors[event.anchor] = node
        if stack:
            stack[-1].children.append(node)
        elif root is None:
            root = node
        if node.open and not isinstance(event, kinds.AliasEvent):
            stack.append(node)
            _not_too_deep(len(stack), line)
    return None if root is None or _is_nothing(root) else root


def _is_nothing(root: _Node) -> bool:
    return root.shape == "word" and root.plain and root.text == ""


def _aliased(anchors: dict[str, _Node], name: str, line: int) -> _Node:
    if name not in anchors:
        raise Unreadable(line, f"*{name} names nothing; write &{name} where it is defined, before")
    node = anchors[name]
    if node.open:
        raise Unreadable(line, f"*{name} stands inside itself; write out what it stands for")
    return node


def _not_too_many(count: int, line: int) -> None:
    if count > MAX_VALUES:
        raise Unreadable(
            line,
            f"more than {MAX_VALUES:,} values (aliases followed); give ranges (min and max) in"
            " place of long lists, and no aliases of aliases",
        )


def _not_too_deep(depth: int, line: int) -> None:
    if depth > MAX_DEPTH:
        raise Unreadable(
            line, f"more than {MAX_DEPTH} lists or mappings inside one another; write fewer"
        )


def _checked_tag(node: _Node) -> None:
    tag = node.tag
    if not tag or tag == "!":
        return
    short = known_tag(tag)
    fits = {"word": ("str", "int", "float", "bool", "null"), "list": ("seq",), "mapping": ("map",)}
    if short is None or short not in fits[node.shape]:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        raise Unreadable(node.line, f"the tag {shown} is not for sweep files; remove it")


# -- nodes to values ------------------------------------------------------------------------------


def _placed(
    node: _Node, line: int, key: str, twice: list[tuple[At, int]], strict: bool, kind: str = "text"
) -> At:
    if node.shape == "word":
        value, what, trap = _word(node, line, strict)
        text = node.text if node.plain else ""
        return At(value, what, line, key, text, trap, kind)
    if node.shape == "list":
        items = {
            i: _placed(child, child.line, f"{key}[{i}]", twice, strict)
            for i, child in enumerate(node.children)
        }
        return At([at.value for at in items.values()], "list", line, key, inside=items)
    inside: dict[Any, At] = {}
    for name, what, key_line, value in _pairs(node, key, twice, strict):
        inside[name] = _placed(value, key_line, _joined(key, name), twice, strict, what)
    values = {name: at.value for name, at in inside.items()}
    return At(values, "mapping", line, key, name_kind=kind, inside=inside)


def _pairs(
    node: _Node, key: str, twice: list[tuple[At, int]], strict: bool
) -> list[tuple[str, str, int, _Node]]:
    """(name, kind of the name, line, value) of a mapping, merges (<<) put in behind."""
    own: dict[str, tuple[str, str, int, _Node]] = {}
    merged: list[_Node] = []
    for name_node, value in zip(node.children[::2], node.children[1::2], strict=True):
        if name_node.shape != "word":
            raise Unreadable(name_node.line, "a key that is a list or a mapping; give it a name")
        if name_node.text == "<<" and name_node.plain:
            merged += value.children if value.shape == "list" else [value]
            continue
        name = name_node.text
        if not name and name_node.plain:
            raise Unreadable(name_node.line, "a colon with no key before it; write key: value")
        if name in own:
            at = At(None, "null", name_node.line, _joined(key, name))
            twice.append((at, own[name][2]))
        what = _word(name_node, name_node.line, strict)[1]
        own[name] = (name, what, name_node.line, value)
    for other in merged:
        if other.shape != "mapping":
            raise Unreadable(other.line, "<< merges mappings only; give it *name of a mapping")
        for pair in _pairs(other, key, [], strict):
            own.setdefault(pair[0], pair)
    return list(own.values())


def _word(node: _Node, line: int, strict: bool) -> tuple[Any, str, str]:
    short = known_tag(node.tag) if node.tag else None
    if short is None:
        try:
            return read_word(node.text, plain=node.plain, strict=strict)
        except ValueError:
            size = len(node.text)
            raise Unreadable(
                line,
                f"a whole number of {size:,} digits, and one may have 1,000; put it in quotes to"
                " keep it as text",
            ) from None
    try:
        return (*tagged_word(node.text, short), "")
    except ValueError:
        raise Unreadable(line, f"!!{short} {node.text} is no {short}; remove the tag") from None


def _joined(key: str, name: str) -> str:
    name = re.sub(r"\s+", " ", name)
    return f"{key}.{name}" if key else name
