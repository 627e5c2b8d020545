"""What a benchmark found: a table, ratios with their aims, and where and how it was measured."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console
from rich.table import Table

Cell = str | float | int | None

console: Final = Console()


@dataclass(frozen=True)
class Ratio:
    """One figure that there is an aim for: ``value`` null where it has no end, ``met`` null where it is not judged."""

    name: str
    value: float | None
    aim: str
    met: bool | None = None

    @classmethod
    def at_least(cls, name: str, value: float, aim: float) -> "Ratio":
        """A ratio that is to be ``aim`` or more."""
        return cls(name, value, f"≥ {aim:g}", value >= aim)

    @classmethod
    def at_most(cls, name: str, value: float, aim: float) -> "Ratio":
        """A ratio that is to be ``aim`` or less."""
        return cls(name, value if math.isfinite(value) else None, f"≤ {aim:g}", value <= aim)


@dataclass(frozen=True)
class Chart:
    """Which columns of the table are drawn, and how."""

    mark: Literal["bar", "line"]
    x: str
    y: str
    color: str | None = None
    log: bool = False


@dataclass(frozen=True)
class Result:
    """A benchmark's table and ratios. ``machine`` and ``command`` say where and how; ``notes`` what to know of it."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    ratios: Sequence[Ratio] = ()
    notes: Sequence[str] = ()
    chart: Chart | None = None
    command: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """As JSON text, one object."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """Read what ``to_json`` wrote."""
        read = json.loads(text)
        ratios = [Ratio(**ratio) for ratio in read.pop("ratios")]
        chart = read.pop("chart")
        return cls(**read, ratios=ratios, chart=chart and Chart(**chart))

    def markdown(self) -> str:
        """As a table, with the ratios, the command and the machine below it."""
        lines = [
            f"**{self.title}**",
            "",
            "| " + " | ".join(self.columns) + " |",
            "|" + "---|" * len(self.columns),
            *("| " + " | ".join(map(shown, row)) + " |" for row in self.rows),
        ]
        if self.ratios:
            lines += ["", "| Ratio | Measured | Aim | |", "|---|---|---|---|"]
            lines += [f"| {r.name} | {shown(r.value)} | {r.aim} | {_MET[r.met]} |" for r in self.ratios]
        lines += ["", *(f"{note}\n" for note in self.notes)]
        if self.chart:
            lines += [f"![{self.title}](benchmarks/{self.name}.png)", ""]
        lines += [f"`{self.command}`, {self._where()}."]
        return "\n".join(lines) + "\n"

    def _where(self) -> str:
        told = {"date": "on {}", "commit": "commit {}", "cpu": "{}", "cores": "{} cores", "memory_gb": "{} GB"}
        told["load"] = "load {} before it"
        return ", ".join(text.format(self.machine[fact]) for fact, text in told.items() if fact in self.machine)

    def print(self) -> None:
        """Print the table and the ratios."""
        table = Table(*self.columns, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*map(shown, row))
        console.print(table)
        for ratio in self.ratios:
            console.print(f"{ratio.name} = {shown(ratio.value)} (aim {ratio.aim}) {_MET[ratio.met]}")
        for note in self.notes:
            console.print(note)

    def draw(self, path: Path) -> None:
        """Write the chart as PNG."""
        if self.chart is None:
            return
        import altair as alt

        chart = self.chart
        # Columns by number: in a name, Altair reads dots and brackets as paths.
        data = [{f"c{number}": cell for number, cell in enumerate(row)} for row in self.rows]
        drawn = alt.Chart(alt.InlineData(values=data), width=560, height=260, title=self.title)
        if chart.mark == "bar":
            names = alt.Y(self._field(chart.x, "N"), sort=None, title=None, axis=alt.Axis(labelLimit=300))
            drawn = drawn.mark_bar().encode(y=names, x=alt.X(self._field(chart.y, "Q"), title=chart.y))
        else:
            scale = alt.Scale(type="log") if chart.log else alt.Scale()
            drawn = drawn.mark_line(point=True).encode(
                x=alt.X(self._field(chart.x, "Q"), title=chart.x, scale=scale),
                y=alt.Y(self._field(chart.y, "Q"), title=chart.y),
            )
        if chart.color:
            drawn = drawn.encode(color=alt.Color(self._field(chart.color, "N"), title=chart.color))
        drawn.save(path, ppi=144)

    def _field(self, column: str, kind: str) -> str:
        return f"c{list(self.columns).index(column)}:{kind}"


_MET: Final = {True: "met", False: "**missed**", None: ""}


def shown(cell: Cell) -> str:
    """A figure as it is read: thousands apart, three digits that count."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
