"""What becomes of a URL that was found: its shard, whether it is new, and whether it may be crawled."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator

from airless.crawl.layout import Layout
from airless.crawl.met import Met
from airless.crawl.request import Follow, Request, link
from airless.crawl.scan import PageFollow
from airless.crawl.scope import Scope
from airless.crawl.settings import Dedup, Settings
from airless.crawl.shard import Shard
from airless.crawl.sitemap_seeds import SITEMAP_CALLBACKS
from airless.crawl.sites import Site, Sites, host_key
from airless.crawl.urls import canonical, dedup_key, fingerprint, trap

logger = logging.getLogger("airless.crawl")

# What is skipped is remembered under another fingerprint than its own: found nearer to a seed, or asked for
# as a seed, it is crawled all the same.
CUT = 0x9E37_79B9_7F4A_7C15
REFUSED = 0xD1B5_4A32_D192_ED03
# And so is what was offered to another shard: having offered it is not having it.
SENT = 0x8CB9_2BA7_2F3D_8DD7

# What can be taken for canonical without parsing it: the links of a page nearly all can.
_PLAIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?/[!\"$-~]*")


class Discovery:
    """Takes what pages yield to the shards that own it. Counts what is new, and why it is skipped.

    `owned` gives the shard of an index where this process owns it, else None: then the owner is sent the
    request and decides. A URL is marked as seen in the very commit that publishes it. `entered` is told of
    each request that is admitted.
    """

    def __init__(
        self,
        settings: Settings,
        scope: Scope,
        layout: Layout,
        owned: Callable[[int], Shard | None],
        *,
        entered: Callable[[Shard, Request], None] | None = None,
        keeps_offers: bool = False,
    ) -> None:
        self._dedup = settings.dedup
        self._traps = settings.traps
        self._max_depth = settings.limits.depth
        self._scope = scope
        self._sites = Sites(scope)
        self._layout = layout
        self._owned = owned
        self._entered = entered
        self._by_level = self._max_depth is not None or entered is not None
        # With a limit on depth a link that was offered may be nearer now.
        self._keeps_offers = keeps_offers and not self._by_level
        # With a limit on depth a link that is known may be nearer now; dropped parameters are known to us alone.
        self._exact = self._max_depth is not None or bool(self._dedup.drop_parameters)
        self._met = Met()

    def follow(self, shard: Shard, parent: Request, follow: Follow) -> None:
        """Offer a page's links in bulk: no Request is made for what is known already."""
        urls: Iterable[str]
        if isinstance(follow, PageFollow) and not (self._exact or follow.read):
            common = shard.common if self._keeps_offers else None
            fresh, urls, refused = follow.new_urls(
                (shard.met or self._met).of(follow),
                self._sites,
                shard.seen,
                sort_query=self._dedup.sort_query,
                twist=REFUSED,
                offered=SENT if self._keeps_offers else 0,
                known=None if common is None else common.marks,
            )
            if refused:
                shard.skip_seen(refused, "offsite")
            if fresh:
                self._take(shard, parent, follow, fresh)
        else:
            urls = self._canonical(shard, follow)
        if urls:
            self._take(shard, parent, follow, self._in_scope(shard, urls))

    def let_go(self) -> None:
        """Forget the sites, which know their shards."""
        self._sites.clear()

    def _canonical(self, shard: Shard, follow: Follow) -> Iterable[str]:
        met = shard.met or self._met
        for url in follow.urls:
            # With a limit on depth a link that is known may be nearer now.
            if self._max_depth is None and met.knows(url):
                continue
            address = url if _PLAIN.fullmatch(url) else canonical(url)
            if address is None:
                self._invalid(shard)
            else:
                yield address

    def _in_scope(self, shard: Shard, urls: Iterable[str]) -> Iterator[tuple[str, int, Site]]:
        """Those in scope, as `PageFollow.new_urls` gives them; the others are skipped."""
        for url in urls:
            mark, site = self._mark(url), self._sites.of(url)
            if site is None:
                self._refused(shard, mark, "offsite")
            elif not (self._keeps_offers and _is_known(shard, mark)):
                yield url, mark, site

    def _take(
        self, shard: Shard, parent: Request, follow: Follow, links: Iterable[tuple[str, int, Site]]
    ) -> None:
        """Take a page's links, in scope, that nobody else here is known to have."""
        depth = _depth_below(parent)
        callback, priority, referrer = follow.callback, follow.priority, parent.url
        carries = follow.meta or follow.headers
        for url, mark, site in links:
            owner, index = site.owner, shard.index
            if owner is None:
                index = self._index(site, mark)
                owner = self._owner(shard, site, index)
                if owner is None and self._keeps_offers and mark ^ SENT in shard.seen:
                    continue
            reason = trap(url, depth, self._traps)
            if reason is not None:
                self._refused(shard, mark, reason)
                continue
            # As `found` does it for one link.
            request = (
                follow.found(url, depth, referrer)
                if carries
                else link(url, callback, priority, depth, referrer)
            )
            if owner is None:
                if self._keeps_offers:
                    shard.see(mark ^ SENT)
                shard.send_foreign(index, request)
            elif self._by_level:
                self._admit(owner, request, mark)
            else:
                # All that is left of `_admit` for a link where levels don't count.
                owner.send_new(mark, request)

    def _index(self, site: Site, mark: int) -> int:
        """That of the shard of a page. It stays the same for an unspread host."""
        index = site.index
        if index is None:
            index = self._layout.shard_at(site.hash, mark)
            if self._layout.spread == 1:
                site.index = index
        return index

    def _owner(self, shard: Shard, site: Site, index: int) -> Shard | None:
        """The shard of that index, where this process owns it. It stays the same for an unspread host."""
        owner = shard if index == shard.index else self._owned(index)
        if self._layout.spread == 1:
            site.owner = owner
        return owner

    def request(self, shard: Shard, parent: Request, request: Request) -> None:
        """Offer one request that a callback yielded for the page of `parent`."""
        url = canonical(request.url)
        if url is None:
            self._invalid(shard)
            return
        request.url = url
        request.depth = _depth_below(parent)
        request.referrer = parent.url
        mark = self._fingerprint(request)
        reason = None if request.dont_filter else self._refuse(request)
        if reason is None:
            self._place(shard, request, mark)
        else:
            self._refused(shard, mark, reason)

    def redirect(self, shard: Shard, parent: Request, hop: Request) -> None:
        """Offer the next hop of a redirect; it keeps the depth and the referrer of the first.

        A hop out of scope is skipped, but on a host that was asked for out of scope on purpose.
        """
        mark = self._fingerprint(hop)
        stays = self._scope.allows(hop.url) or host_key(hop.url) == host_key(parent.url)
        reason = trap(hop.url, hop.depth, self._traps) if stays else "offsite"
        if not stays and hop.seed:
            logger.warning(
                "the seed %s redirects to %s, which is out of scope: start there, or allow its domain",
                parent.url,
                hop.url,
            )
        if reason is not None:
            self._skip(shard, hop, mark, REFUSED, reason)
        else:
            self._place(shard, hop, mark)

    def repeat(self, shard: Shard, hop: Request) -> None:
        """Take a hop that leads back to where it came from, with a cookie now: it is no duplicate."""
        shard.counts.discovered += 1
        if self._entered is not None:
            self._entered(shard, hop)
        shard.send(hop)

    def admits(self, shard: Shard, request: Request) -> bool:
        """Whether a request that was offered to this shard is new: it counts as discovered then, and is for the caller
        to send, or to work on.
        """
        return self._admits(shard, request, self._fingerprint(request))

    def knows(self, shard: Shard) -> Callable[[str], bool]:
        """Whether a plain link, by its canonical URL, is none that it `admits`."""
        seen, dedup = shard.seen, self._dedup
        return lambda url: mark_of(url, dedup) in seen

    def offer(self, shard: Shard, requests: Iterable[Request]) -> None:
        """Take what came with no shard: each request to the one that owns it, in scope or not."""
        for request in requests:
            self._place(shard, request, self._fingerprint(request))

    def shard_of(self, request: Request) -> int:
        return self._layout.shard_of(host_key(request.url), self._fingerprint(request))

    def _place(self, shard: Shard, request: Request, mark: int) -> None:
        index = self._layout.shard_of(host_key(request.url), mark)
        owner = shard if index == shard.index else self._owned(index)
        if owner is None:
            shard.send_foreign(index, request)
        else:
            self._admit(owner, request, mark)

    def _admit(self, shard: Shard, request: Request, mark: int) -> None:
        if self._admits(shard, request, mark):
            shard.send(request)

    def _admits(self, shard: Shard, request: Request, mark: int) -> bool:
        counts = shard.counts
        if request.dont_filter:
            counts.discovered += 1
        elif self._max_depth is not None and request.depth > self._max_depth:
            self._skip(shard, request, mark, CUT, "depth")
            return False
        elif not shard.see(mark):
            return False
        elif self._max_depth is not None and mark ^ CUT in shard.seen:
            counts.skip("depth", -1)
        else:
            counts.discovered += 1
        if request.seed and not request.redirects:
            counts.seeds += 1
        if self._entered is not None:
            self._entered(shard, request)
        return True

    def _refuse(self, request: Request) -> str | None:
        if not self._scope.allows(request.url):
            return "offsite"
        return trap(request.url, request.depth, self._traps)

    def _invalid(self, shard: Shard) -> None:
        shard.counts.discovered += 1
        shard.counts.skip("invalid_url")
        shard.dirty = True

    def _skip(self, shard: Shard, request: Request, mark: int, twist: int, reason: str) -> None:
        if self._refused(shard, mark, reason, twist) and request.seed and not request.redirects:
            shard.counts.seeds += 1

    def _refused(self, shard: Shard, mark: int, reason: str, twist: int = REFUSED) -> bool:
        """Count a URL as skipped, unless it is known; whether it was new."""
        if mark in shard.seen or not shard.see(mark ^ twist):
            return False
        shard.counts.discovered += 1
        shard.counts.skip(reason)
        return True

    def _mark(self, url: str) -> int:
        return mark_of(url, self._dedup)

    def _fingerprint(self, request: Request) -> int:
        if request.method == "GET" and request.body is None:
            return self._mark(request.url)
        return fingerprint(dedup_key(request.url, self._dedup), request.method, request.body)


def mark_of(url: str, dedup: Dedup) -> int:
    """The fingerprint by which a page, asked for by GET, is known to have been seen. `url` is canonical."""
    return fingerprint(url if "?" not in url else dedup_key(url, dedup))


def _is_known(shard: Shard, mark: int) -> bool:
    """Whether others of this process have the page, or have offered it: its owner has it or will."""
    common = shard.common
    return common is not None and (common.knows(mark) or common.knows(mark ^ SENT))


def _depth_below(parent: Request) -> int:
    """Links are one deeper than their page; what a sitemap lists stands beside the seeds."""
    return parent.depth if parent.callback in SITEMAP_CALLBACKS else parent.depth + 1
