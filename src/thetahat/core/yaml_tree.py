"""A tree of YAML values that knows its lines; text that YAML cannot read gets one clear message.

The YAML library gives only the words and their positions. ``yaml_words`` decides what a word means,
so that a file means here what it means to W&B's reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thetahat.core.yaml_words import known_tag, read_word, tagged_word

MAX_BYTES = 1_000_000
MAX_VALUES = 50_000
"""Values in a file, aliases expanded: a few lines of aliases can stand for billions."""
MAX_DEPTH = 50
_LONGEST = 60


class Unreadable(Exception):
    """The file is not readable YAML; ``line`` is the line of the error."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class YamlNode:
    """A value of the file and its position."""

    value: Any
    """Python's own: dict, list, str, int, float, bool or None."""
    kind: str
    """"mapping", "list", "text", "int", "float", "bool", "null" or "date"."""
    line: int
    key: str
    """The path from the top: ``parameters.lr.min``, ``command[2]``."""
    text: str = ""
    """The word as written in the file, without quotes."""
    trap: str = ""
    """Why the value may surprise; mostly empty."""
    name_kind: str = "text"
    """The kind of its own key: W&B's reader takes the key ``on`` for true."""
    inside: Mapping[Any, YamlNode] = field(default_factory=dict)

    def walk(self) -> Iterator[YamlNode]:
        """Yield this node and all nodes inside it."""
        yield self
        for child in self.inside.values():
            yield from child.walk()

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]

    @property
    def letters(self) -> str | None:
        """The letters of a text as in the file, 1e-4 included; None for another value."""
        text = self.kind == "text" or (
            self.kind == "float" and read_word(self.text, plain=True, strict=True)[1] == "text"
        )
        return (self.text or self.value) if text else None

    @property
    def is_number(self) -> bool:
        """Whether the value is a number; true is not."""
        return self.kind in ("int", "float")

    @property
    def is_finite(self) -> bool:
        """Whether the value is a number that a float can hold."""
        return self.is_number and is_finite(self.value)

    @property
    def is_whole(self) -> bool:
        """Whether the value is a whole number: 3, and 3.0, as JSON has it."""
        return self.kind == "int" or (self.kind == "float" and self.value.is_integer())


def is_finite(value: Any) -> bool:
    """Whether a number is finite, and not a whole number too large for a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def describe(node: YamlNode) -> str:
    """Describe a value in a message.

    >>> describe(YamlNode("0.1", "text", 3, "min"))
    "the text '0.1'"
    """
    if node.kind in ("mapping", "list"):
        return f"a {node.kind}" if node.inside else f"an empty {node.kind}"
    if node.kind == "null":
        return "empty"
    if node.kind == "date":
        return f"the date {node.value}"
    return f"the text {short(node.value)}" if node.kind == "text" else written(node.value)


def written(value: Any) -> str:
    """Write a value as in a sweep file."""
    if value is True or value is False:
        return str(value).lower()
    return "null" if value is None else short(value)


def short(value: Any) -> str:
    """Write a value as Python does, cut after 60 characters."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def listed(words: Sequence[str]) -> str:
    """Write words as a choice.

    >>> listed(("latest", "best", "worst"))
    'latest, best or worst'
    """
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def plain_tree(value: Any, key: str = "", name_kind: str = "text") -> YamlNode:
    """Make a tree of plain data, which has no lines (all are 0).

    >>> plain_tree({"lr": {"min": 1}}, "parameters").inside["lr"].inside["min"].key
    'parameters.lr.min'
    """
    kind = _kind(value)
    inside: Mapping[Any, YamlNode] = _PlainItems(value, key) if kind == "list" else {}
    if kind == "mapping":
        inside = {
            str(name): plain_tree(child, _joined(key, str(name)), _kind(name))
            for name, child in value.items()
        }
    return YamlNode(value, kind, 0, key, name_kind=name_kind, inside=inside)


class _PlainItems(Mapping[Any, YamlNode]):
    """The items of a plain list, made when they are needed: lists of values can be long."""

    def __init__(self, items: Sequence[Any], key: str) -> None:
        self._items, self._key = items, key

    def __getitem__(self, i: int) -> YamlNode:
        return plain_tree(self._items[i], f"{self._key}[{i}]")

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._items)))

    def __len__(self) -> int:
        return len(self._items)


_KINDS = (
    *((type(None), "null"), (bool, "bool"), (int, "int"), (float, "float"), (str, "text")),
    *((Mapping, "mapping"), (list, "list"), (tuple, "list")),
)


def _kind(value: Any) -> str:
    return next((kind for of, kind in _KINDS if isinstance(value, of)), "other")


# -- bytes to nodes -------------------------------------------------------------------------------


def decoded(content: bytes) -> str:
    """Decode the bytes of a file.

    Raises:  Unreadable: too many bytes, or not UTF-8; the message names the byte.
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
        byte = f"byte {error.start + 1} of the file (0x{content[error.start]:02x})"
        raise Unreadable(line, f"{byte} is not UTF-8; {_SAVE}") from None


_SAVE = "save the file as UTF-8 (every editor has that under «save with encoding»)"


Repeated = tuple[YamlNode, int, bool]
"""A key that stands in a mapping again: the line of the first, and whether the values are equal."""


def read_tree(text: str, *, strict: bool = False) -> tuple[YamlNode, list[Repeated]]:
    """Read a file as a tree; also return repeated keys with the line of the first.

    Raises:  Unreadable: an error of YAML's grammar, or too many values.
    """
    root = _parsed(text)
    if root is None:
        raise Unreadable(1, "the file is empty; it needs at least method and parameters")
    repeated: list[Repeated] = []
    return _placed(root, root.line, "", repeated, strict), repeated


@dataclass
class _Node:
    """A node during reading: a word, a list, or a mapping's keys and values in turn."""

    shape: str
    line: int
    text: str = ""
    plain: bool = False
    tag: str = ""
    children: list[_Node] = field(default_factory=list)
    weight: int = 1
    depth: int = 1
    open: bool = True


def _parsed(text: str) -> _Node | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _built(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        raise Unreadable(*_grammar(text.splitlines(), error)) from None
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        character: Any = getattr(error, "character", 0)
        code = ord(character) if isinstance(character, str) else int(character)
        message = f"a character that YAML does not allow (U+{code:04X}); remove it"
        raise Unreadable(line, message) from None


def _grammar(lines: list[str], error: Any) -> tuple[int, str]:
    """Return the line of an error in YAML's grammar, and a message with the usual fix."""
    mark = error.problem_mark or error.context_mark
    line = 1 if mark is None else max(1, min(mark.line + 1, len(lines)))
    begun = error.context_mark.line + 1 if error.context_mark else line
    problem, context = str(error.problem or ""), str(error.context or "")
    here = lines[line - 1].strip() if lines else ""
    if "\\t" in problem:
        return line, "a tab in the indentation, which YAML does not allow; use spaces"
    if "mapping values are not allowed" in problem:
        message = f"a colon too many in «{here}», or a wrong indentation"
        return line, f"{message}; text with a colon goes in quotes"
    if "quoted scalar" in context:
        return begun, "a quote is opened here and never closed; close it"
    if "flow" in context:
        what = "[" if "sequence" in context else "{"
        return begun, f"the {what} here is never closed, or lacks a comma before line {line}"
    if "could not find expected ':'" in problem:
        return begun, f"«{lines[begun - 1].strip()}» has no colon after it; write key: value"
    message = problem or context or "it cannot be read"
    return line, f"the file is not YAML: {message}; look at the indentation of «{here}»"


def _built(events: Any) -> _Node | None:
    """Build the nodes of the only document; an alias shares the node it names."""
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
            _check_size(node.weight, node.depth, node.line)
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
        _check_tag(node)
        if stack:
            stack[-1].children.append(node)
        elif root is None:
            root = node
        if not isinstance(event, kinds.AliasEvent):
            if event.anchor:
                anchors[event.anchor] = node
            if node.open:
                stack.append(node)
        _check_size(total, len(stack), line)
    empty = root is None or (root.shape == "word" and root.plain and root.text == "")
    return None if empty else root


def _aliased(anchors: dict[str, _Node], name: str, line: int) -> _Node:
    if name not in anchors:
        raise Unreadable(line, f"*{name} names nothing; write &{name} before, at its definition")
    if anchors[name].open:
        raise Unreadable(line, f"*{name} stands inside itself; write out what it stands for")
    return anchors[name]


def _check_size(values: int, depth: int, line: int) -> None:
    if values > MAX_VALUES:
        raise Unreadable(
            line,
            f"more than {MAX_VALUES:,} values (aliases followed); give ranges (min and max) in"
            " place of long lists, and no aliases of aliases",
        )
    if depth > MAX_DEPTH:
        raise Unreadable(
            line, f"more than {MAX_DEPTH} lists or mappings inside one another; write fewer"
        )


def _check_tag(node: _Node) -> None:
    words = ("str", "int", "float", "bool", "null")
    allowed = {"list": ("seq",), "mapping": ("map",)}.get(node.shape, words)
    if node.tag and node.tag != "!" and known_tag(node.tag) not in allowed:
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise Unreadable(node.line, f"the tag {tag} is not for sweep files; remove it")


# -- nodes to values ------------------------------------------------------------------------------


def _placed(
    node: _Node,
    line: int,
    key: str,
    repeated: list[Repeated],
    strict: bool,
    name_kind: str = "text",
) -> YamlNode:
    if node.shape == "word":
        value, kind, trap = _word(node, line, strict)
        return YamlNode(value, kind, line, key, node.text if node.plain else "", trap, name_kind)
    inside: dict[Any, YamlNode] = {}
    if node.shape == "list":
        for i, child in enumerate(node.children):
            inside[i] = _placed(child, child.line, f"{key}[{i}]", repeated, strict)
        values = [child.value for child in inside.values()]
    else:
        for name, kind, at, child in _pairs(node, key, repeated, strict):
            inside[name] = _placed(child, at, _joined(key, name), repeated, strict, kind)
        values = {name: child.value for name, child in inside.items()}
    return YamlNode(values, node.shape, line, key, name_kind=name_kind, inside=inside)


def _pairs(
    node: _Node, key: str, repeated: list[Repeated], strict: bool
) -> list[tuple[str, str, int, _Node]]:
    """List (name, kind of the name, line, value) of a mapping, merged ones (<<) last."""
    own: dict[str, tuple[str, str, int, _Node]] = {}
    merged: list[_Node] = []
    for name_node, value in zip(node.children[::2], node.children[1::2], strict=True):
        name, line = name_node.text, name_node.line
        if name_node.shape != "word":
            raise Unreadable(line, "a key that is a list or a mapping; give it a name")
        if name == "<<" and name_node.plain:
            merged += value.children if value.shape == "list" else [value]
            continue
        if not name and name_node.plain:
            raise Unreadable(line, "a colon with no key before it; write key: value")
        if name in own:
            first = own[name]
            same = _same(first[3], value, strict)
            repeated.append((YamlNode(None, "null", line, _joined(key, name)), first[2], same))
        own[name] = (name, _word(name_node, line, strict)[1], line, value)
    for other in merged:
        if other.shape != "mapping":
            raise Unreadable(other.line, "<< merges mappings only; give it *name of a mapping")
        for pair in _pairs(other, key, [], strict):
            own.setdefault(pair[0], pair)
    return list(own.values())


def _same(one: _Node, other: _Node, strict: bool) -> bool:
    """Check that two nodes have the same value, and of the same type: 1 is not 1.0."""
    values = [_placed(node, node.line, "", [], strict).value for node in (one, other)]
    return repr(values[0]) == repr(values[1])


def _word(node: _Node, line: int, strict: bool) -> tuple[Any, str, str]:
    """Return a word's value, its kind and its trap."""
    tag = known_tag(node.tag) if node.tag else None
    try:
        if tag is None:
            return read_word(node.text, plain=node.plain, strict=strict)
        return (*tagged_word(node.text, tag), "")
    except ValueError:
        if tag is not None:
            message = f"!!{tag} {node.text} is not of type {tag}; remove the tag"
        else:
            message = (
                f"a whole number of {len(node.text):,} digits, and one may have 1,000; put it in"
                " quotes to keep it as text"
            )
        raise Unreadable(line, message) from None


def _joined(key: str, name: str) -> str:
    name = re.sub(r"\s+", " ", name)
    return f"{key}.{name}" if key else name
