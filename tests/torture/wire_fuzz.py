"""Every endpoint asked for what its description allows, and for what it does not."""

import random
from collections import Counter
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis.openapi
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from wire_ground import TOKEN

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
_SOUND = 0.5
"""How often a name, an id or a token is one that there is."""


class Fuzz:
    """Counts what came back; `faults` are what the description has not."""

    def __init__(self, server, seed_number):
        self._server = server
        self._chance = random.Random(seed_number)
        self._seed = seed_number
        self._session = requests.Session()
        self.statuses = Counter()
        self.faults = []

    def run(self, examples):
        """So many requests of each kind to each endpoint."""
        described = self._session.get(self._server.url("/openapi.json")).json()
        schema = schemathesis.openapi.from_dict(described)
        schema.validate()
        for found in schema.get_all_operations():
            for mode in GenerationMode:
                self._ask(found.ok(), mode, examples)

    def _ask(self, operation, mode, examples):
        @seed(self._seed)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            self._judge(self._made_sounder(case))

        # What takes no parameters can be asked for in one way only.
        with suppress(Unsatisfiable):
            ask()

    def _judge(self, case):
        answer = case.call(
            base_url=self._server.url(""), session=self._session, allow_redirects=False
        )
        self.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except Exception as fault:  # noqa: BLE001 - whatever it objects to is a finding
            self.faults.append(f"{case.method} {case.formatted_path}: {fault}"[:400])

    def _made_sounder(self, case):
        """Rubbish alone would never get past the first of the judgements."""
        known = {"partner": "bestdeals", "offer": "shoes", "advertiser": "acme"}
        for name in case.path_parameters or {}:
            if name in known and self._is_chosen():
                case.path_parameters[name] = known[name]
        if "/postback" in case.path and isinstance(case.query, dict):
            if self._is_chosen():
                case.query["click_id"] = self._click_id()
            if self._is_chosen():
                case.query["token"] = TOKEN
        return case

    def _is_chosen(self):
        return self._chance.random() < _SOUND

    def _click_id(self):
        link = self._server.url("/c/bestdeals/shoes")
        answer = self._session.get(link, allow_redirects=False)
        return parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]
