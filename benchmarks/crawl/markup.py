"""The HTML of the generated site: prose, markup around it, and the ways in which a link can be written."""

from __future__ import annotations

import html
import random

WORDS = (
    *("amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty", "knoll"),
    *("larch", "maple", "north", "ocean", "plain", "quartz", "ridge", "stone", "tidal", "upland", "valley"),
    *("willow", "yarrow", "zephyr", "café", "naïve", "smörgås", "über", "crème", "façade"),
)


def anchor(dice: random.Random, reference: str) -> str:
    """A list item with a link, in one of the styles that real pages have."""
    words = " ".join(dice.choices(WORDS, k=3))
    written = html.escape(reference)
    style = dice.randrange(20)
    if style == 0:
        return f"<LI><A HREF='{written}' class=x>{words}</A></LI>"
    if style == 1:
        number = dice.randrange(999)
        return f'<li><a\n   class="x y" data-id="{number}"\n   href="{written}"><b>{words}</b></a></li>'
    return f'<li><a href="{written}">{words}</a></li>'


def filler() -> list[str]:
    """Blocks of prose and markup, 400 to 1,600 characters each."""
    dice = random.Random(7)
    blocks: list[str] = []
    for at in range(300):
        words = dice.choices(WORDS, k=dice.randint(50, 170))
        for spot in range(5, len(words), 17):
            words[spot] = dice.choice(("<em>{}</em>", '<span class="hl">{}</span>', "<b>{}</b>")).format(
                words[spot]
            )
        prose = " ".join(words).capitalize()
        picture = f'<figure><img src="/img/{at}.jpg" alt="" loading="lazy" width="640" height="480"></figure>'
        row = f"<tr><td>{at}</td><td>{words[1]}</td></tr>"
        table = f'<table class="t">{row * 3}</table>' if at % 5 == 0 else ""
        blocks.append(
            f'<section class="block block--{at % 9}"><div class="block__inner"><h2 id="h{at}">{words[2]}</h2>'
            f"<p>{prose}.</p>{picture if at % 3 == 0 else ''}{table}</div></section>\n"
        )
    return blocks


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<!-- <title>An old title</title> <a href="/{bait}/head-{page}.html">not a link</a> -->
<title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Page {page} of a site made up for a benchmark">
<link rel="stylesheet" href="/static/site.css">
<link rel="alternate" type="application/rss+xml" href="/feed.xml">
<style>.menu{{display:flex;gap:1rem}}.menu__link{{color:#123}}.block{{margin:1em 0;padding:0 1em}}</style>
<script>
var next = '<a href="/{bait}/script-{page}.html">not a link</a>';
window.state = {{"page": {page}, "url": "{origin}/{bait}/state-{page}.html"}};
if (window.state.page < 10 && document.links.length > 3) {{ document.write(next); }}
</script>
<script type="application/ld+json">{{"@type": "WebPage", "url": "{origin}/{bait}/json-{page}.html"}}</script>
</head>
<body id="top">
<header><nav><ul class="menu">{menu}</ul></nav></header>
<svg width="8" height="8"><title>An icon's title</title><circle cx="4" cy="4" r="3"/></svg>
<main>
{text}</main>
<!-- <ul><li><a href="/{bait}/comment-{page}.html">not a link</a></li></ul> -->
<footer id="comments"><p>Made up for a benchmark; page {page}.</p></footer>
</body>
</html>
"""
