"""Identifiers in text: how they may be spelled, what looks like one, and taking them out.

``folding``: what two spellings of one have in common. ``spellings``: what to look for, of one record. ``finding``:
where it is in a text. ``patterns``: what looks like an identifier of anybody. Masking is built on these
(``app.stream.transforms.scrub``); ``verify`` searches stored text by other code (``lake.quality.identifier_search``).
"""
