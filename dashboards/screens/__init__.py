"""One file per page, run by ``dashboards/main.py``.

Not in a folder named pages: Streamlit would run what is in it by itself, without ``main.py`` and so without sign-in.
"""
