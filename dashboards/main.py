"""The dashboards: which pages there are, and what is drawn around each. Served by ``dashboards/asgi.py``."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import streamlit as st

from dashboards.shared import data, filters, signin
from dashboards.shared.data import Build, Missing
from dashboards.shared.settings import Settings, settings
from lake.errors import WardlakeError

FOLDER: Final = Path(__file__).parent / "screens"


@dataclass(frozen=True)
class PageSpec:
    """A page: its file in ``screens/``, its title, the filters that apply to it, and whether it needs Gold."""

    name: str
    title: str
    filters: tuple[str, ...] = ()
    needs_gold: bool = True


PAGES: Final = (
    PageSpec("admissions", "Admissions", filters.ALL_OF_THEM),
    PageSpec("diagnoses", "Diagnoses and treatments", filters.ALL_OF_THEM),
    PageSpec("kpis", "Hospital KPIs", filters.ALL_OF_THEM),
    PageSpec("compliance", "Compliance", ("period",)),
    PageSpec("pipeline", "Pipeline", needs_gold=False),
    PageSpec("sql", "SQL"),
)


def main() -> None:
    """Draw the page that was asked for, or what is to be done before there is one."""
    pages = {
        st.Page(FOLDER / page.name / "page.py", title=page.title, url_path=page.name, default=page is PAGES[0]): page
        for page in PAGES
    }
    chosen = st.navigation(list(pages))
    page = pages[chosen]
    st.set_page_config(f"{page.title} · Wardlake", "🏥", layout="wide")
    known = settings()
    signin.let_in(known.dashboard_auth)
    st.title(page.title)
    audience = data.audience()
    found = data.find(known.lake, audience)
    if isinstance(found, Build):
        data.show(found)
        heading(found, known)
        if page.filters:
            filters.sidebar(found, page.filters)
    elif page.needs_gold:
        nothing_to_show(found)
        return
    chosen.run()
    st.caption(audience.note)


def heading(build: Build, known: Settings) -> None:
    """What the figures are as of; a warning where they are old."""
    built = build.local(build.built_at)
    st.caption(
        f"Data through {filters.day_text(build.last_day)} · Gold build {build.build_id} built "
        f"{filters.day_text(built.date())} {built:%H:%M} · times in {build.timezone}"
    )
    newest = data.newest_build(str(known.lake))
    age = datetime.now(UTC) - build.built_at
    if newest is not None and newest > build.build_id:
        st.warning(
            f"Gold build {newest} is published, these figures are of build {build.build_id}. If this stays so for a "
            f"minute, run `wardlake flow {'export' if build.rounded else 'gold'}`."
        )
    elif age > timedelta(hours=known.dashboard_stale_hours):
        st.warning(
            f"These figures were built {_long(age)} ago. Run `wardlake flow gold`, or `wardlake flows serve` to have "
            "it done every day."
        )


def _long(age: timedelta) -> str:
    return f"{age.days} days" if age.days > 1 else f"{age.total_seconds() / 3600:.0f} hours"


def nothing_to_show(missing: Missing) -> None:
    """Why there is nothing to show, and the next move."""
    st.info(missing.what)
    st.write(missing.next_move)
    st.code(missing.command, language="sh")
    st.button("Look again", type="primary")


if __name__ == "__main__":
    try:
        main()
    except WardlakeError as error:
        st.error(str(error))
