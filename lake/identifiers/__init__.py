"""Identifiers in text: how they may be spelled, what looks like one, and taking them out.

``folding``: what two spellings of one have in common. ``spellings``: what to look for, of one record. ``finding``:
where it stands in a text. ``patterns``: forms of anybody's. Masking is built on these (``app.steps.scrub``); what
searches stored text has code of its own (``lake.quality.search``).
"""
