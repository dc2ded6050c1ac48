"""The report: one HTML page with everything in it, and the merged list of estimates."""

from __future__ import annotations

import base64
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hpcrg import __version__, estimate, figures
from hpcrg.campaign import Campaign, load
from hpcrg.errors import CorruptFile, InputError, expected
from hpcrg.estimate import Estimate
from hpcrg.figures import Figure, FigureData, Note, Panels
from hpcrg.files import parse_json, sha256, write_atomically
from hpcrg.provenance import SIDECAR as PROVENANCE
from hpcrg.provenance import is_run, sidecar
from hpcrg.report.draw import comparison_svg, figure_svg, panels_svg
from hpcrg.report.labels import html
from hpcrg.report.rows import MEANING, SIGNIFICANT, TENSION, Analysis, Row, differences, ordered, row

PACKAGES = (
    "numpy", "scipy", "numba", "h5py", "dask", "distributed", "torch", "mpi4py", "mpich", "snakemake", "matplotlib",
)  # fmt: skip
FIGURES = ".figures.json"
RUN = ("id", "begun", "seconds", "host", "ranks", "job", "hpcrg", "packages")
LATER = ("restart", "git", "outcome", "hosts")
"""What older sidecars do not tell."""
SHORT = 6
"""Tables of more rows than this are folded."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its picture as a data URI."""

    figure: Figure | Panels
    uri: str

    @property
    def spoken(self) -> str:
        """What stands for the picture where it cannot be seen."""
        f = self.figure
        return f"{f.title}: {f.ylabel} over {f.xlabel}" if isinstance(f, Figure) else f.title


def write(campaign_path: Path, files: Sequence[Path], estimates_path: Path, output: Path) -> None:
    """Write the page and the merged estimates.

    `files` are estimates (X.json), figure data (X.figures.json) and, if there are any, sidecars
    (X.provenance.json; one that is missing is left out); those of the campaign's own results are found without being
    named. Raises InputError for anything else, with the file's name, before anything is written.
    """
    campaign = load(campaign_path)
    analyses = read(files)
    merged = ordered([e for a in analyses for e in a.estimates])
    sidecars = [output.parent / "banks" / f"{e.label}{PROVENANCE}" for e in campaign.ensembles()]
    sidecars += [output.parent / "series" / f"{s.label}{PROVENANCE}" for s in campaign.series()]
    sidecars += [output.parent / "train" / name / f"series{PROVENANCE}" for name in campaign.train]
    sidecars += [sidecar(output.parent / file) for name in campaign.stack for file in campaign.stack_files(name)]
    sidecars += [sidecar(path) for path in files if not path.name.endswith((FIGURES, PROVENANCE))]
    read_too = [p for p in sidecars if p.exists() and p not in files]
    page = render(campaign, campaign_path.read_text(), analyses, provenance(campaign, [*files, *read_too]))
    estimate.save(estimates_path, merged)
    write_atomically(output, page.encode())


def read(files: Sequence[Path]) -> list[Analysis]:
    """The analyses in the order of their first file: estimates and the figure data of the same stem belong together."""
    analyses: dict[Path, Analysis] = {}
    for path in files:
        if path.name.endswith(PROVENANCE):
            continue
        stem = path.with_name(path.name.removesuffix(".json").removesuffix(".figures"))
        known = analyses.get(stem, Analysis(_name(stem), [], FigureData()))
        estimates, data = _content(path)
        analyses[stem] = Analysis(known.name, known.estimates + (estimates or []), data or known.data)
    return [replace(a, beside=tuple(_beside(stem, analyses))) for stem, a in analyses.items()]


def render(campaign: Campaign, text: str, analyses: Sequence[Analysis], made: dict[str, Any]) -> str:
    """The page as text."""
    pairs = [(e, a) for a in analyses for e in a.estimates]
    estimates = ordered([e for e, _ in pairs])
    origin = {id(e): a for e, a in pairs}
    rows = [row(e, origin[id(e)]) for e in estimates]
    environment = Environment(
        loader=PackageLoader("hpcrg.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["symbols"] = html
    return environment.get_template("page.html.j2").render(
        campaign=campaign, title=campaign.report.title or campaign.name, text=text,
        comparison=_uri(comparison_svg(rows)) if rows else None,
        rows=rows, counts=_counts(rows), differences=differences(estimates), significant=SIGNIFICANT, tension=TENSION,
        troubles=_troubles(rows), failures=list(_notes(analyses, "failure")), meaning=MEANING, short=SHORT,
        warnings=[*_campaign_warnings(campaign), *_notes(analyses, "warning")],
        infos=list(_notes(analyses, "info")), made=made,
        sections=[(a, _drawings(a.data)) for a in analyses],
    )  # fmt: skip


def _drawings(data: FigureData) -> list[Drawing]:
    drawn = [Drawing(f, _uri(figure_svg(f))) for f in data.figures]
    return drawn + [Drawing(p, _uri(panels_svg(p))) for p in data.panels]


def provenance(campaign: Campaign, files: Sequence[Path]) -> dict[str, Any]:
    """Where the numbers come from: ensembles, runs that sampled them, versions, the files read."""
    runs = [run | {"bank": _name(p).removesuffix(".provenance")} for p in files for run in _runs(p)]
    return {
        "hpcrg": __version__, "python": sys.version.split()[0], "platform": platform.platform(),
        "host": platform.node(), "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "packages": list(_versions()), "runs": runs, "ensembles": campaign.ensembles(),
        "series": [(s.label, s.id, s.seed, s.chains, campaign.method_of(s.group)) for s in campaign.series()],
        "files": [(str(p), sha256(p)) for p in files if p.exists()],
    }  # fmt: skip


def _content(path: Path) -> tuple[list[Estimate] | None, FigureData | None]:
    try:
        if path.name.endswith(FIGURES):
            return None, _consistent(path, figures.load(path))
        return _checked(path), None
    except (OSError, ArithmeticError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, CorruptFile):
            raise
        wanted = "a file of estimates (.json) or figure data (.figures.json)"
        raise InputError(f"{expected(str(path), wanted, type(error).__name__)}: {error}") from None


def _beside(stem: Path, analyses: Mapping[Path, Analysis]) -> Iterator[Note]:
    for other, analysis in analyses.items():
        if other != stem and other.parent == stem.parent and not analysis.estimates:
            yield from analysis.data.notes


def _checked(path: Path) -> list[Estimate]:
    """The estimates of a file, if all of its numbers are finite; any error says what is wrong."""
    estimates = estimate.load(path)
    for e in estimates:
        json.dumps(e.as_json(), allow_nan=False)
    return estimates


def _consistent(path: Path, data: FigureData) -> FigureData:
    for figure in data.figures:
        for curve in figure.curves:
            lengths = {len(curve.x), len(curve.y), len(curve.x if curve.yerr is None else curve.yerr)}
            if len(lengths) > 1:
                where = f"{path}: figure {figure.name}, curve {curve.label}"
                raise CorruptFile(expected(where, "x, y and yerr of one length", sorted(lengths)))
    for panels in data.panels:
        ragged = [p for row in panels.rows for p in row if len({len(line) for line in p}) != 1]
        if not panels.rows or not all(panels.rows) or ragged or len(panels.labels) != len(panels.rows):
            raise CorruptFile(expected(f"{path}: panels {panels.name}", "a label for each row of pictures", "others"))
    return data


def _name(path: Path) -> str:
    """`flow/majority` from results/quickstart/flow/majority.json."""
    return f"{path.parent.name}/{path.stem}" if path.parent.name else path.stem


def _uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _notes(analyses: Sequence[Analysis], level: str) -> Iterator[Note]:
    return (n for a in analyses for n in a.data.notes if n.level == level)


def _campaign_warnings(campaign: Campaign) -> Iterator[Note]:
    return (Note("warning", text) for text in campaign.warnings())


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    return {kind: sum(r.kind == kind for r in rows) for kind in ("agrees", "tension", "disagrees", "fails", "alone")}


def _troubles(rows: Sequence[Row]) -> list[str]:
    """Methods that fail or disagree, each with the quantities and the pulls."""
    bad = [r for r in rows if r.kind in ("disagrees", "fails")]
    methods = dict.fromkeys(r.estimate.method for r in bad)
    return [f"{m} ({', '.join(_trouble(r) for r in bad if r.estimate.method == m)})" for m in methods]


def _trouble(row: Row) -> str:
    if row.kind == "disagrees":
        return f"{row.estimate.quantity}: {row.pull} errors off"
    return f"{row.estimate.quantity}: fails by its own account" if row.failure else f"{row.estimate.quantity}: no error"


def _runs(path: Path) -> list[dict[str, Any]]:
    if not path.name.endswith(PROVENANCE) or not path.exists():
        return []
    try:
        runs = parse_json(path.read_text())
        if not all(map(is_run, runs)):
            raise ValueError("a run of other types")
        return [{key: run[key] for key in RUN} | {key: run.get(key) for key in LATER} for run in runs]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{expected(str(path), 'a list of sampling runs', type(error).__name__)}: {error}") from None


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"
