"""What the sections that may name a preset have in common."""

from typing import Any, ClassVar

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tracker.catalog.presets import SideName, get_preset, list_presets
from tracker.catalog.sections import Section


class Presettable(Section):
    """
    A section that a preset may spell.

    By the time it is validated the preset has been put in: both keys are here for
    editors, and for the README.
    """

    side: ClassVar[SideName] = "partner"

    preset: str | None = Field(
        None, description="a dialect with a name; 'tracker presets' lists them"
    )
    with_: dict[str, Any] = Field(
        {}, alias="with", description="what the preset has to be told"
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        keys = [key for key in list_presets() if get_preset(key).side(cls.side)]
        schema["properties"]["preset"]["enum"] = keys
        if required := schema.pop("required", None):
            schema["anyOf"] = [{"required": ["preset"]}, {"required": required}]
        return schema
