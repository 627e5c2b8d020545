"""Where events come from: the simulated hospital, source files, and the publisher.

May import the event contract (``lake.contract``) and the errors (``lake.errors``), nothing else of the lake.
"""
