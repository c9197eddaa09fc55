"""
The whole of partners.yaml: its sections, and the JSON Schema of all.

What can be judged from one value or one section is judged here; what takes two
(an offer that names an advertiser) in `tracker.catalog.crosschecks`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from tracker.catalog.advertisers import AdvertiserSection
from tracker.catalog.offers import OfferSection
from tracker.catalog.partners import MAX_ENTRIES, PartnerSection
from tracker.catalog.postbacks import Postbacks
from tracker.catalog.scalars import Key
from tracker.catalog.sections import Section
from tracker.catalog.sums import Currency, Worth
from tracker.catalog.templates import ClickUrl
from tracker.catalog.times import Timezone


class Document(Section):
    """The whole of partners.yaml."""

    version: Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"]})] = Field(
        description="the version of this format: 1"
    )
    currency: Currency = Field(description="the currency of reports, such as USD")
    timezone: Timezone = Field("UTC", description="of caps and report days")
    rates: dict[Currency, Worth] = Field(
        {}, description="what one unit of a currency is worth in ours"
    )
    fallback_url: ClickUrl | None = Field(
        None, description="where visitors of unknown links go; a 404 unless set"
    )
    advertisers: dict[Key, AdvertiserSection] = Field(
        {}, max_length=MAX_ENTRIES, description="who owns offers, by key"
    )
    offers: dict[Key, OfferSection] = Field(
        {}, max_length=MAX_ENTRIES, description="what is promoted, by key"
    )
    partners: dict[Key, PartnerSection] = Field(
        {}, max_length=MAX_ENTRIES, description="who sends traffic, by key"
    )
    postbacks: Postbacks = Field((), description="told of every conversion")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of partners.yaml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(mode="validation"),
        "title": "partners.yaml",
    }
