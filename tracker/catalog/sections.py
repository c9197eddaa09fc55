"""What every section of partners.yaml has in common: how it says what is wrong."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
)

from tracker.catalog.faults import one_of, suggest
from tracker.catalog.scalars import kind_of
from tracker.catalog.templates import unquoted_macro

FAULT = "fault"
"""The type of errors whose message is a sentence of ours already."""

KEY_FAULT = "key_fault"
"""Likewise, and it is the key that is wrong."""


class Section(BaseModel):
    """
    A mapping with known keys.

    A key with nothing after it counts as absent, and a section with nothing in it
    as empty, so that everything in it can be commented out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(_without_empty(value))
        except ValidationError as error:
            details = error.errors(include_url=False)
            raise ValidationError.from_exception_data(
                cls.__name__, [_explained(detail, cls) for detail in details]
            ) from None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["type"] = ["object", "null"]
        return schema


def many(value: Any) -> Any:
    """A single text may stand for a list of one."""
    return [value] if isinstance(value, str) else value


class _OneOrMany:
    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        listed = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [listed["items"], listed]}


Item = TypeVar("Item")
Many = Annotated[
    tuple[Item, ...], Field(max_length=1000), BeforeValidator(many), _OneOrMany()
]
"""A list; one item may stand without its brackets."""


def shape_of(value: Any) -> str:
    """What tells forms of a value apart; no key of a file has such a name."""
    if isinstance(value, str):
        return "(a word)"
    if value is None:
        return "(nothing)"
    return "(a list)" if isinstance(value, list | tuple) else "(a mapping)"


def _without_empty(value: Any) -> Any:
    if value is None:
        return {}
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in value.items() if inner is not None}


def _explained(detail: ErrorDetails, section: type[Section]) -> InitErrorDetails:
    return {
        "type": _sentence(detail, section),
        "loc": detail["loc"],
        "input": None,
    }


def _sentence(detail: ErrorDetails, section: type[Section]) -> PydanticCustomError:
    kind = detail["type"]
    if kind in (FAULT, KEY_FAULT):
        return _custom(kind, detail["msg"])
    is_key = kind in ("missing", "extra_forbidden") or detail["loc"][-1:] == ("[key]",)
    explain = _SENTENCES.get(kind, _as_pydantic_says)
    return _custom(KEY_FAULT if is_key else FAULT, explain(detail, section))


def _custom(kind: str, message: str) -> PydanticCustomError:
    # The message is put into a template, so that its own braces stay.
    return PydanticCustomError(kind, "{message}", {"message": message})


def _missing(detail: ErrorDetails, section: type[Section]) -> str:
    name = str(detail["loc"][-1])
    about = next(f.description for n, f in _fields(section) if n == name)
    return f"{name!r} is missing" + (f": {about}" if about else "")


def _unknown(detail: ErrorDetails, section: type[Section]) -> str:
    known = [name for name, _ in _fields(section)]
    near = suggest(str(detail["loc"][-1]), known)
    return f"unknown key{near or f'; there are {one_of(known)}'}"


def _fields(section: type[Section]) -> Iterable[tuple[str, Any]]:
    for name, info in section.model_fields.items():
        yield info.alias or name, info


def _not_one_of(detail: ErrorDetails, _section: type[Section]) -> str:
    expected = detail["ctx"]["expected"].replace("'", "")
    words = expected.replace(" or ", ", ").split(", ")
    return f"must be {expected}{suggest(str(detail['input']), words)}"


def _not_text(detail: ErrorDetails, _section: type[Section]) -> str:
    value = detail["input"]
    return f"must be text, not {kind_of(value)}{unquoted_macro(value)}"


def _not_a_mapping(detail: ErrorDetails, _section: type[Section]) -> str:
    return f"must be a mapping ('key: value'), not {kind_of(detail['input'])}"


def _not_a_list(detail: ErrorDetails, _section: type[Section]) -> str:
    return f"must be a list such as [a, b], not {kind_of(detail['input'])}"


def _too_long(detail: ErrorDetails, _section: type[Section]) -> str:
    return f"must have at most {detail['ctx']['max_length']} characters or entries"


def _too_short(_detail: ErrorDetails, _section: type[Section]) -> str:
    return "must not be empty"


def _own_words(detail: ErrorDetails, _section: type[Section]) -> str:
    return str(detail["ctx"]["error"])


def _as_pydantic_says(detail: ErrorDetails, _section: type[Section]) -> str:
    return detail["msg"]


_SENTENCES: dict[str, Callable[[ErrorDetails, type[Section]], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _not_one_of,
    "enum": _not_one_of,
    "string_type": _not_text,
    "model_type": _not_a_mapping,
    "dict_type": _not_a_mapping,
    "tuple_type": _not_a_list,
    "list_type": _not_a_list,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "value_error": _own_words,
}
