"""Optional sign-in with Streamlit's own OIDC: on where ``secrets.toml`` has ``[auth]``, or where it is asked for."""

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError


def let_in(required: bool) -> None:
    """Go on only where nobody has to sign in or somebody has; else show what to do, and stop this run.

    It fails closed: asked for (``WARDLAKE_DASHBOARD_AUTH``) but not configured is an error, not an open door.
    """
    if not configured():
        if required:
            st.error(
                "Sign-in is asked for (WARDLAKE_DASHBOARD_AUTH) but not configured, so nothing is shown. Put an "
                "`[auth]` section into `.streamlit/secrets.toml`, and start the dashboard again."
            )
            st.stop()
        return
    if not st.user.is_logged_in:
        st.title("Wardlake")
        st.write("Sign in with your organisation's account to see the dashboards.")
        st.button("Sign in", type="primary", on_click=st.login)
        st.stop()
    with st.sidebar:
        st.caption(f"Signed in as {st.user.get('email') or st.user.get('name') or 'a user without a name'}")
        st.button("Sign out", on_click=st.logout)


def configured() -> bool:
    """Whether ``secrets.toml`` says how to sign in."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return False
