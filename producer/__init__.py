"""Where events come from: the simulated hospital, source files, and the publisher.

May import the event contract (``lake.contracts.event``) and the errors (``lake.errors``), nothing else of the lake.
"""
