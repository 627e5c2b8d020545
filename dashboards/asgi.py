"""What ``wardlake dashboard`` serves: ``main.py`` by Streamlit, behind the check of hosts and origins."""

from pathlib import Path
from typing import Final

import streamlit as st
from starlette.middleware import Middleware

from dashboards.same_origin import SameOrigin
from dashboards.shared.settings import settings

_CHECKED: Final = Middleware(
    SameOrigin, address=st.get_option("server.address"), origins=settings().dashboard_origins.split()
)

# Streamlit looks for this name, and for this class, in the text of the file.
app = st.App(Path(__file__).with_name("main.py"), middleware=[_CHECKED])
