"""
A tracked link: who may have it, how it is spelled, and what traffic sources fill in.

What a source fills in has to stand in the link as it is: `${SUBID}` that was encoded is
a text like any other to it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import quote

from tracker.domain.catalog import Catalog
from tracker.domain.click import SUBS
from tracker.domain.deeplink import PARAMETER, SIGNATURE, Seal, host_of
from tracker.domain.errors import RefusedChangeError, UnknownLinkError
from tracker.domain.offer import Offer
from tracker.domain.partner import Partner

_MACRO = re.compile(
    r"\$\{\w+\}|\{\{[\w.]+\}\}|\{[\w.:]+\}|\[[A-Z_]+\]|__[A-Z_]+__|##[\w()]+##"
)

_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Macro:
    """What a traffic source fills in where that stands in a link; `label` is usual."""

    source: str
    text: str
    about: str
    label: str = ""


AD_PLATFORMS: Sequence[Macro] = (
    # https://support.google.com/google-ads/answer/6305348
    Macro("Google Ads", "{campaignid}", "campaign id"),
    Macro("Google Ads", "{adgroupid}", "ad group id"),
    Macro("Google Ads", "{creative}", "ad id"),
    Macro("Google Ads", "{keyword}", "keyword"),
    # https://www.facebook.com/business/help/2360940870872492
    Macro("Meta", "{{campaign.id}}", "campaign id"),
    Macro("Meta", "{{adset.id}}", "ad set id"),
    Macro("Meta", "{{ad.id}}", "ad id"),
    Macro("Meta", "{{placement}}", "placement"),
    # https://help.ads.microsoft.com/#apex/ads/en/56799
    Macro("Microsoft Advertising", "{CampaignId}", "campaign id"),
    Macro("Microsoft Advertising", "{AdGroupId}", "ad group id"),
    Macro("Microsoft Advertising", "{AdId}", "ad id"),
    Macro("Microsoft Advertising", "{keyword}", "keyword"),
    # https://ads.tiktok.com/help/article/track-offsite-web-events-with-utm-parameters
    Macro("TikTok", "__CAMPAIGN_ID__", "campaign id"),
    Macro("TikTok", "__AID__", "ad group id"),
    Macro("TikTok", "__CID__", "ad id"),
    Macro("TikTok", "__PLACEMENT__", "placement"),
)
"""Their click ids (gclid, fbclid, ttclid, msclkid) come by themselves."""


def fill_labels(
    labels: Mapping[str, str], macros: Iterable[Macro]
) -> Mapping[str, str]:
    """The labels with those macros in the usual, or else the first, empty ones."""
    filled = dict(labels)
    for macro in macros:
        free = [name for name in SUBS if not filled.get(name)]
        if macro.text not in filled.values() and free:
            filled[macro.label if macro.label in free else free[0]] = macro.text
    return filled


def find_link(catalog: Catalog, partner: str, offer: str) -> tuple[Partner, Offer]:
    """Both sides of a link; UnknownLinkError says what was probably meant."""
    try:
        return catalog.link(partner, offer)
    except UnknownLinkError as error:
        raise UnknownLinkError(f"{error}{_hint(catalog, partner, offer)}") from None


def list_offers(catalog: Catalog, partner: Partner) -> list[Offer]:
    """What the partner may promote, paused ones included."""
    return [
        one
        for one in catalog.offers.values()
        if not one.is_retired and partner.may_promote(one.key)
    ]


def list_partners(catalog: Catalog) -> list[Partner]:
    """Everybody who may have links."""
    return [one for one in catalog.partners.values() if not one.is_retired]


def deep_parameters(
    seal: Seal | None, partner: str, offer: Offer, url: str
) -> dict[str, str]:
    """
    What leads to a page of the advertiser's: signed where its host is not listed.

    Raises RefusedChangeError for what is no web address, and without a seal for a
    host that is not on the offer's list.
    """
    host = host_of(url)
    if not host:
        raise RefusedChangeError("write a plain web address, https://…")
    if host in offer.deeplinks:
        return {PARAMETER: url}
    if seal is None:
        listed = ", ".join(sorted(offer.deeplinks)) or "none"
        raise RefusedChangeError(
            f"{host} is not among the hosts that {offer.key} may be linked to"
            f" ({listed}), so that the link has to be signed"
        )
    return {PARAMETER: url, SIGNATURE: seal.sign(partner, offer.key, url)}


def spell_link(
    base_url: str, partner: str, offer: str, parameters: Mapping[str, str]
) -> str:
    """The URL to hand out; what a traffic source fills in stands in it as it is."""
    path = f"{base_url.rstrip('/')}/c/{quote(partner)}/{quote(offer)}"
    said = {name: value for name, value in parameters.items() if value}
    query = "&".join(f"{quote(name)}={_quoted(value)}" for name, value in said.items())
    return f"{path}?{query}" if query else path


def _quoted(value: str) -> str:
    spelled, at = "", 0
    for macro in _MACRO.finditer(value):
        spelled += quote(value[at : macro.start()], safe="") + macro[0]
        at = macro.end()
    return spelled + quote(value[at:], safe="")


def _hint(catalog: Catalog, partner: str, offer: str) -> str:
    """What was probably meant, or what there is."""
    partners = [one.key for one in list_partners(catalog)]
    if partner not in partners:
        return _suggestion("partner", partner, partners, "the partners are")
    offers = [one.key for one in list_offers(catalog, catalog.partners[partner])]
    return _suggestion(
        f"offer of {partner}", offer, offers, f"the offers of {partner} are"
    )


def _suggestion(kind: str, word: str, known: Sequence[str], these_are: str) -> str:
    close = get_close_matches(word[:100], known, n=1)
    if close:
        return f"; did you mean the {kind} {close[0]!r}?"
    return f"; {these_are} {', '.join(sorted(known)[:_MOST_SHOWN]) or 'none'}"
