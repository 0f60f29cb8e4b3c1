"""What a robots.txt allows (RFC 9309): one pass over the file, and a matcher that is linear in the URL.

The file is hostile input. No regular expression is built from it, garbage lines are passed over, and what
follows the first `LIMIT_BYTES` is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LIMIT_BYTES = 512 * 1024
"""How much of a file is parsed, cut at a line's end; RFC 9309 §2.5 asks for 500 KiB at least."""

_FIELDS = {
    b"user-agent": "agent",
    b"useragent": "agent",
    b"user agent": "agent",
    b"allow": "allow",
    b"disallow": "disallow",
    b"dissallow": "disallow",
    b"dissalow": "disallow",
    b"disalow": "disallow",
    b"diasllow": "disallow",
    b"disallaw": "disallow",
    b"crawl-delay": "delay",
    b"crawldelay": "delay",
    b"sitemap": "sitemap",
    b"site-map": "sitemap",
}
"""Field names in lower case, with the misspellings that sites really have."""

_RULE_BYTES, _PIECE_BYTES = 250, 45

_TOKEN = re.compile(r"[A-Za-z_-]*")
_COMPATIBLE = re.compile(r"\(\s*compatible;\s*([A-Za-z_-]+)")
_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]*)?|\.[0-9]+")
_PLAIN = re.compile(r"[A-Za-z0-9\-._~/?&=+;]*")
_OTHER = re.compile(rb"%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~/?&=+;]")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow or disallow line: the octets between the wildcards of its path, in comparable form.

    `anchored` says that the path ends where the rule does ("$"). `octets` is how specific the rule is.
    """

    allow: bool
    pieces: tuple[bytes, ...]
    anchored: bool
    octets: int

    @property
    def is_prefix(self) -> bool:
        return len(self.pieces) == 1 and not self.anchored

    def matches(self, target: bytes) -> bool:
        """Whether the rule covers a path in comparable form.

        Each piece is taken at its first place after the one before: with "*" as the only wildcard no later
        choice can do better, so nothing is ever tried twice.
        """
        first, *rest = self.pieces
        if not target.startswith(first):
            return False
        if not rest:
            return not self.anchored or len(target) == len(first)
        at = len(first)
        last = rest.pop() if self.anchored else b""
        for piece in rest:
            found = target.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        return not self.anchored or (len(target) - len(last) >= at and target.endswith(last))

    def line(self) -> bytes:
        name = b"Allow: " if self.allow else b"Disallow: "
        return name + b"*".join(self.pieces) + (b"$" if self.anchored else b"")


@dataclass(frozen=True, slots=True)
class Rules:
    """What one agent may fetch from one origin.

    `rules` are ordered so that the first that matches decides. `crawl_delay_s` is as the file says it,
    uncapped; with several lines the largest. `sitemaps` are the values as written (for all agents), which
    need not be valid URLs. `weight_bytes` is about how much memory all that takes. A target that begins with none
    of `heads` and holds no escape is allowed.
    """

    rules: tuple[Rule, ...] = ()
    crawl_delay_s: float | None = None
    sitemaps: tuple[str, ...] = ()
    weight_bytes: int = field(init=False, repr=False, compare=False)
    heads: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _prefixes: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    _patterns: tuple[Rule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        weight = sum(2 * rule.octets + _RULE_BYTES + _PIECE_BYTES * len(rule.pieces) for rule in self.rules)
        object.__setattr__(self, "weight_bytes", weight + sum(map(len, self.sitemaps)))
        # How a path begins that a rule may cover, up to the rule's first escape: written without escapes itself,
        # it begins so before it is made comparable, too.
        heads = dict.fromkeys(rule.pieces[0].partition(b"%")[0].decode() for rule in self.rules)
        object.__setattr__(self, "heads", tuple(heads))
        # Most rules are plain prefixes and most pages match none of them: one call rules all those out.
        prefixes = tuple(rule.pieces[0] for rule in self.rules if rule.is_prefix)
        object.__setattr__(self, "_prefixes", prefixes)
        object.__setattr__(self, "_patterns", tuple(rule for rule in self.rules if not rule.is_prefix))

    @classmethod
    def allow_all(cls) -> Rules:
        """The rules of a site that has none."""
        return cls()

    @classmethod
    def disallow_all(cls) -> Rules:
        """The rules of a site whose robots.txt can't be had for now."""
        return cls(rules=(Rule(allow=False, pieces=(b"/",), anchored=False, octets=1),))

    @classmethod
    def parse(cls, body: bytes, agent: str, *, limit_bytes: int = LIMIT_BYTES) -> Rules:
        """The rules for `agent`, a product token or a whole User-Agent value; any bytes can be parsed.

        All groups that name the agent's product token make one; where none does, the groups of "*" are used,
        and without those everything is allowed (RFC 9309 §2.2.1). A Crawl-delay or an unknown line does not
        end a list of user-agent lines, as other records must not interfere with the standard's own (§2.2.4).
        """
        token = product_token(agent).lower()
        named, anyone = _Group(), _Group()
        current: list[_Group] = []
        sitemaps: dict[str, None] = {}
        in_rules = False
        for name, value in _records(body, limit_bytes):
            if name == "agent":
                if in_rules:
                    current, in_rules = [], False
                group = named if _names(value, token) else anyone if value.split()[:1] == [b"*"] else None
                if group is not None:
                    group.present = True
                    if group not in current:
                        current.append(group)
            elif name == "sitemap":
                if value:
                    sitemaps[value.decode("utf-8", "replace")] = None
            elif name == "delay":
                for group in current:
                    group.delay(value)
            else:
                in_rules = True
                for group in current:
                    group.rule(name == "allow", value)
        chosen = named if named.present else anyone
        return cls(chosen.ordered(), chosen.delay_s, tuple(sitemaps))

    def allows(self, target: str) -> bool:
        """Whether a URL may be fetched; `target` is its path and query, without the fragment.

        The matching rule with the most octets decides, an allow on a tie; without one, and for /robots.txt
        itself, it may be (RFC 9309 §2.2.2).
        """
        if not target.startswith("/"):
            target = "/" + target
        if target == "/robots.txt" or not (target.startswith(self.heads) or "%" in target):
            return True
        if _PLAIN.fullmatch(target):
            octets = target.encode()
        else:
            octets = _comparable(target.encode("utf-8", "surrogatepass"), wildcards=False)
        for rule in self.rules if octets.startswith(self._prefixes) else self._patterns:
            if octets.startswith(rule.pieces[0]) and rule.matches(octets):
                return rule.allow
        return True

    def text(self) -> bytes:
        """A robots.txt that says the same to any agent, and no more than that."""
        lines = [b"User-agent: *"]
        if self.crawl_delay_s is not None:
            lines.append(b"Crawl-delay: %s" % f"{self.crawl_delay_s:f}".encode())
        lines.extend(rule.line() for rule in self.rules)
        lines.extend(b"Sitemap: " + url.encode() for url in self.sitemaps)
        return b"\n".join(lines)


def product_token(agent: str) -> str:
    """The name by which robots files know an agent: letters, "_" and "-" (RFC 9309 §2.2.1).

    It is what a User-Agent value starts with or, in one like "Mozilla/5.0 (compatible; ExampleBot/0.1)", what
    follows "compatible". Empty where there is none: then only the groups of "*" apply.
    """
    compatible = _COMPATIBLE.search(agent)
    if compatible:
        return compatible[1]
    found = _TOKEN.match(agent.strip())
    return found[0] if found else ""


class _Group:
    """The merged groups of one agent while the file is read."""

    __slots__ = ("delay_s", "patterns", "present")

    def __init__(self) -> None:
        self.present = False
        self.delay_s: float | None = None
        self.patterns: dict[bytes, bool] = {}

    def delay(self, value: bytes) -> None:
        if _SECONDS.fullmatch(value):
            self.delay_s = max(float(value), self.delay_s or 0.0)

    def rule(self, allow: bool, path: bytes) -> None:
        anchored = path.endswith(b"$")
        pattern = _comparable(path.removesuffix(b"$"), wildcards=True) if path else b""
        if pattern.startswith((b"/", b"*")):
            key = pattern + b"$" if anchored else pattern
            self.patterns[key] = allow or self.patterns.get(key, False)

    def ordered(self) -> tuple[Rule, ...]:
        return tuple(
            Rule(allow, tuple(key.removesuffix(b"$").split(b"*")), key.endswith(b"$"), len(key))
            for key, allow in sorted(self.patterns.items(), key=lambda item: (-len(item[0]), not item[1]))
        )


def _records(body: bytes, limit_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The lines that mean something: field and value. Without a colon a line counts if it has two words."""
    if len(body) > limit_bytes:
        whole_lines = max(body.rfind(b"\n", 0, limit_bytes), body.rfind(b"\r", 0, limit_bytes)) + 1
        body = body[:whole_lines]
    for line in body.removeprefix(b"\xef\xbb\xbf").splitlines():
        content = line.partition(b"#")[0].strip()
        name, colon, value = content.partition(b":")
        if not colon:
            words = content.split()
            if len(words) != 2:
                continue
            name, value = words
        field = _FIELDS.get(name.strip().lower())
        if field is not None:
            yield field, value.strip()


def _names(value: bytes, token: str) -> bool:
    found = _TOKEN.match(value.decode("latin-1"))
    return bool(token) and found is not None and found[0].lower() == token


def _comparable(path: bytes, *, wildcards: bool) -> bytes:
    """The octets that are compared (RFC 9309 §2.2.2, §2.2.3), the same for a rule's path and a URL's.

    Escapes of unreserved characters are undone; everything else that is no delimiter of path and query is
    escaped, so that ":" equals "%3A" and "*" in a URL equals "%2A" in a rule. "/" and "?" delimit nothing
    inside a query, where they equal their escapes.
    """
    before, question, query = path.partition(b"?")

    def octet(found: re.Match[bytes]) -> bytes:
        text = found[0]
        if len(text) == 1:
            return text if wildcards and text == b"*" else b"%%%02X" % text[0]
        code = int(text[1:], 16)
        return bytes((code,)) if code in _UNRESERVED else text.upper()

    before = _OTHER.sub(octet, before)
    if not question:
        return before
    query = _OTHER.sub(octet, query).replace(b"%2F", b"/").replace(b"%3F", b"?")
    return before + b"?" + query
