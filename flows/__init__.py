"""The flows: what a lake needs done again and again, put in order. Prefect runs them, or ``wardlake flow`` does.

A step is a plain function of ``app``; a sequence says which step follows which; how a step is run is handed in.
"""
