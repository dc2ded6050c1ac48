"""The report: everything is shown, nothing is trusted, disagreement and failure are loud."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hpcrg import estimate, figures
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, Reference
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Table
from hpcrg.report import draw, labels
from hpcrg.report.page import write
from hpcrg.report.rows import Analysis, differences, row

CAMPAIGN = """
name: two-ways
seed: 3
model: {type: ising}
ensembles:
  near: {sizes: [8, 16], ladder: {temperatures: [2.2, 2.4]}, updates: [{type: swendsen_wang}], chains: 8, draws: 40}
report: {title: "Two ways <b>at once</b>"}
"""
EVIL = "<script>alert('a')</script>"


class Page(HTMLParser):
    """Tags, and the class of each table row with its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.rows = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "tr":
            self.rows.append([dict(attrs).get("class") or "", ""])

    def handle_data(self, data):
        if self.rows:
            self.rows[-1][1] += data + " "


def made(quantity="T_c", method="fss/crossing", value=2.27, spread=1e-3, reference=2.2691853, **more):
    noise = np.random.default_rng(5).normal(size=16) * spread / 4
    known = None if reference is None else Reference(reference, source="exact")
    return Estimate(quantity, method, "ising", (8, 16), value, {"feed": value + noise}, reference=known, **more)


def drawing(name, labels_=("L = 8", "L = 16"), **more):
    curves = [Curve(label, [2.2, 2.4], [1.0, 0.5], [0.1, 0.1], "points") for label in labels_]
    return Figure(name, f"title of {name}", "temperature T (J/k_B)", "xi_2nd / L", curves, **more)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    estimate.save(tmp_path / "a.json", [made(), made(method="fss/collapse", value=2.28)])
    estimate.save(tmp_path / "b.json", [made("nu", "mcrg/decimation", 1.0, 0.5, 1.0), made("w", reference=None)])
    notes = [Note("failure", f"MCRG decimation: nu does not converge {EVIL}"), Note("warning", "few chains")]
    shown = [drawing("one", reference=Mark("T_c, exact", x=2.269)), drawing("two", ("a $x", EVIL))]
    figures.save(tmp_path / "a.figures.json", FigureData(shown, [], [Table(EVIL, ["L"], [["cell-7"]])]))
    figures.save(tmp_path / "b.figures.json", FigureData([drawing("three", yscale="log")], notes))
    return tmp_path


def report(place, *names):
    files = [place / n for n in names or ("a.json", "b.json", "a.figures.json", "b.figures.json")]
    write(place / "c.yaml", files, place / "estimates.json", place / "report.html")
    return (place / "report.html").read_text()


def row_of(page, method):
    return next(r for r in page.rows if r[1].split()[:1] == [method])


def test_every_figure_is_drawn_inside_the_page(place):
    text = report(place)
    page = Page(text)
    assert len(page.images) == 1 + 3  # all methods side by side, and every figure
    assert all(i["src"].startswith("data:image/svg+xml;base64,") for i in page.images)
    assert all(f"title of {name}" in i["alt"] for name, i in zip(("one", "two", "three"), page.images[1:], strict=True))
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert "cell-7" in text


def test_texts_of_others_are_escaped(place):
    text = report(place)
    assert "script" not in Page(text).tags
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "Two ways &lt;b&gt;" in text


def test_disagreement_failure_and_tension_are_marked(place):
    estimate.save(place / "a.json", [made(), made(method="fss/collapse", value=2.28), made(method="x", value=2.2717)])
    page = Page(report(place))
    assert row_of(page, "fss/crossing")[0] == "agrees"
    kind, text = row_of(page, "fss/collapse")
    assert kind == "disagrees"
    assert "DISAGREES" in text
    assert row_of(page, "x")[0] == "tension"
    # Its pull is small, and only because it knows how badly it does.
    kind, text = row_of(page, "mcrg/decimation")
    assert kind == "fails"
    assert "METHOD FAILS" in text


def test_notes_and_failing_methods_come_before_the_estimates(place):
    text = report(place)
    before = text[: text.index('id="estimates"')]
    assert "does not converge" in before
    assert before.index("does not converge") < before.index("few chains")
    assert "mcrg/decimation (" in before
    assert "fss/collapse (" in before
    assert "fss/crossing (" not in before


def test_the_merged_file_has_every_estimate(place):
    report(place)
    merged = estimate.load(place / "estimates.json")
    assert sorted((e.quantity, e.method) for e in merged) == [
        ("T_c", "fss/collapse"), ("T_c", "fss/crossing"), ("nu", "mcrg/decimation"), ("w", "fss/crossing"),
    ]  # fmt: skip
    crossing = next(e for e in merged if (e.quantity, e.method) == ("T_c", "fss/crossing"))
    assert crossing.replicas["feed"].tolist() == made().replicas["feed"].tolist()


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '[{"schema": "other/1"}]', "not finite", None])
def test_a_broken_estimates_file_is_refused_with_its_name(place, content):
    if content == "not finite":
        rows = json.loads((place / "b.json").read_text())
        content = json.dumps([rows[0] | {"value": float("nan")}])
    if content is not None:
        (place / "broken.json").write_text(content)
    with pytest.raises(InputError, match=r"broken\.json"):
        report(place, "a.json", "broken.json")
    assert not (place / "report.html").exists()
    assert not (place / "estimates.json").exists()


def test_curves_of_unequal_length_are_refused(place):
    bad = Figure("bad", "", "x", "y", [Curve("short", [1.0, 2.0], [1.0])])
    figures.save(place / "bad.figures.json", FigureData([bad]))
    with pytest.raises(InputError, match=r"bad\.figures\.json.*short"):
        report(place, "a.json", "bad.figures.json")


def test_provenance_tells_ensembles_runs_and_campaign(place):
    run = {"id": "feed", "host": "node-17", "ranks": 3, "begun": "2026-01-01", "seconds": 1.5, "job": None,
           "hpcrg": "0", "packages": {"numpy": "2"}}  # fmt: skip
    (place / "banks").mkdir()
    (place / "banks" / "near-L8.provenance.json").write_text(json.dumps([run]))
    text = report(place)
    assert "node-17" in text
    assert "near-L16" in text
    assert "name: two-ways" in text
    assert re.search(r"numpy \d", text)
    (place / "banks" / "near-L8.provenance.json").write_text("[{}]")
    with pytest.raises(InputError, match=r"near-L8\.provenance\.json"):
        report(place)


def test_a_report_without_estimates_says_so(place):
    text = report(place, "a.figures.json")
    assert "No method gave an estimate" in text
    assert estimate.load(place / "estimates.json") == []


def test_shared_draws_give_the_joint_error(place):
    shift = made().replicas["feed"] + 0.01
    estimate.save(place / "b.json", [Estimate("T_c", "other", "ising", (8,), 2.28, {"feed": shift})])
    rows = [" ".join(text.split()) for _, text in Page(report(place)).rows]
    assert "the same" in next(text for text in rows if "fss/crossing other" in text)
    apart = Estimate("T_c", "other", "ising", (8,), 2.28, {"beef": shift})
    assert differences([made(), apart]) == []
    uneven = Estimate("T_c", "other", "ising", (8,), 2.28, {"feed": shift[:4]})
    assert [d.joint for d in differences([made(), uneven])] == ["blocks differ"]
    # A shift of every replica alike is a difference without an error of its own: blocks cancel.
    same = Estimate("T_c", "other", "ising", (8,), 2.28, {"feed": shift})
    (found,) = differences([made(), same])
    assert float(found.joint) < 1e-12 < float(found.naive)


def test_a_failure_concerns_the_method_that_it_names():
    a, b = made(), made(method="fss/collapse")
    notes = [Note("failure", "fss/collapse: no overlap")]
    analysis = Analysis("fss", [a, b], FigureData(notes=notes))
    assert row(a, analysis).kind == "agrees"
    assert row(b, analysis).kind == "fails"
    nameless = Analysis("fss", [a, b], FigureData(), (Note("failure", "the network has seen its test data"),))
    assert {row(e, nameless).kind for e in (a, b)} == {"fails"}


@pytest.mark.parametrize("number", [1, 3, 12, 30])
def test_many_curves_keep_their_own_look_and_a_legend_entry(number):
    curves = [Curve(f"L = {8 * i}", [1.0, 2.0], [i, i + 1.0], None, s) for i in range(1, number + 1)
              for s in ("points", "line")]  # fmt: skip
    looks = draw._looks(curves)
    assert len({look.colour for look in looks.values()}) == number
    assert len(draw._entries(curves, looks)) == number
    assert draw.figure_svg(Figure("f", "t", "x", "y", curves)).count(b"<path") > number


def test_points_moved_aside_stay_inside_the_axes():
    canvas = draw.Canvas()
    axes = canvas.add_subplot(xscale="log")
    curves = [Curve(label, [20.0, 40.0], [2.26, 2.28], [0.01, 0.01], "points") for label in ("U4", "xi")]
    looks = draw._looks(curves)
    assert {look.aside for look in looks.values()} == {-draw.DODGE / 2, draw.DODGE / 2}
    for curve in curves:
        draw._draw(axes, curve, looks[curve.label], crowded=False)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert 10 < left < 20
    assert 40 < right < 80
    assert 2.2 < low < 2.25
    assert 2.29 < high < 2.35


def test_drawings_are_equal_for_equal_data():
    assert draw.figure_svg(drawing("one")) == draw.figure_svg(drawing("one"))


def test_symbols_are_set_and_words_are_not():
    assert labels.html("T_c by a/b.h5 <em>") == "<i>T</i><sub>c</sub> by a/b.h5 &lt;em&gt;"
    assert labels.html("beta/nu") == "<i>β</i>/<i>ν</i>"
    assert "k" in labels.drawn("J/k_B)")
    assert labels.drawn("(J/k_B)") == r"(J/$k_{\mathrm{B}}$)"
    assert labels.drawn("number scan_L16 5$") == r"number scan_L16 5\$"
