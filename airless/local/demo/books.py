"""The books of the shop: each follows from its number alone, so that every run sells the same ones."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

CATEGORIES = (
    "Poetry",
    "Travel",
    "Mystery",
    "History",
    "Cooking",
    "Science",
    "Childhood",
    "Music",
    "Gardens",
    "Sea Stories",
    "Ghosts & Legends",
    "Letters",
)

_ADJECTIVES = (
    *("Quiet", "Borrowed", "Crooked", "Last", "Patient", "Salted", "Hidden", "Second", "Winter", "Careless"),
    *("Paper", "Wandering", "Hollow", "Golden", "Unfinished", "Northern", "Little", "Broken", "Sleepless"),
    *("Distant", "Invisible", "Copper", "Seventh"),
)
_NOUNS = (
    *("Lighthouse", "Orchard", "Map", "Clockmaker", "Kitchen", "River", "Letter", "Fox", "Harbour", "Bridge"),
    *("Library", "Violin", "Window", "Mountain", "Gardener", "Comet", "Tailor", "Ferry", "Almanac", "Train"),
    *("Compass", "Bakery", "Cartographer", "Swallow", "Island", "Mirror", "Beekeeper", "Market", "Stranger"),
)
_PLACES = (
    *("Lisbon", "the Fens", "Trieste", "the Old Quarter", "Porto", "Galway", "the Upper Valley", "Ghent"),
    *("Salt & Smoke", "Valparaíso", "the Long Shore", "Kraków", "Mill Street", "the Far Islands", "Uppsala"),
    *("the Night Market", "Aleppo", "the Glass House", "Oaxaca"),
)
_PATTERNS = ("The {a} {n} of {p}", "{a} {n}, or a Year in {p}", "One {a} {n} for {p}")
_TITLES = len(_ADJECTIVES) * len(_NOUNS) * len(_PLACES)
# No factor in common with _TITLES: neighbours in the shop have nothing in common, and no title comes twice.
_STEP = 7_919

_RATINGS = ("One", "Two", "Three", "Four", "Five")
_NO_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Book:
    """One book. `category` is an index into CATEGORIES, `in_stock` a number of copies."""

    number: int
    title: str
    category: int
    price_pence: int
    rating: str
    in_stock: int
    upc: str

    @property
    def slug(self) -> str:
        """Its name in a path: no two books have the same."""
        plain = unicodedata.normalize("NFKD", self.title).encode("ascii", "ignore").decode()
        return f"{_NO_WORD.sub('-', plain.lower()).strip('-')}_{self.number}"

    @property
    def price(self) -> str:
        return f"£{self.price_pence // 100}.{self.price_pence % 100:02d}"

    @property
    def text(self) -> str:
        """What is said about it."""
        where = CATEGORIES[self.category].lower()
        return (
            f"{self.title} begins on an ordinary morning and doesn't end where anybody expected. "
            f"Readers of {where} have asked for it again, and here it is, with a new cover and the old map."
        )


def book(number: int) -> Book:
    """The book of a number, from 0."""
    volume, place = divmod(number, _TITLES)
    mark = place * _STEP % _TITLES
    rest, adjective = divmod(mark, len(_ADJECTIVES))
    spot, noun = divmod(rest, len(_NOUNS))
    title = _PATTERNS[mark % len(_PATTERNS)].format(a=_ADJECTIVES[adjective], n=_NOUNS[noun], p=_PLACES[spot])
    return Book(
        number=number,
        title=f"{title}, Volume {volume + 1}" if volume else title,
        category=mark % len(CATEGORIES),
        price_pence=499 + mark * 37 % 5_000,
        rating=_RATINGS[mark % len(_RATINGS)],
        in_stock=mark % 21,
        upc=f"{mark * 2_654_435_761 % 2**32:08x}{number:08x}",
    )
