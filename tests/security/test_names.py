"""Names of a campaign are names of files and words of commands: none leaves the results or reaches a shell."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from verbs import hpcrg

from hpcrg import estimate, figures
from hpcrg.campaign import parse
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, Reference
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Table
from hpcrg.specs import Name

CAMPAIGN = """
name: {name}
seed: 3
model: {{type: {model}}}
ensembles:
  {group}: {{sizes: [8, 12], ladder: {{temperatures: [2.2, 2.4]}}, updates: [{{type: metropolis}}], chains: 2, draws: 10}}
scale: {{{scale}: {{ensemble: {group}}}}}
percolation: {{{series}: {{sizes: [8, 12], type: site, realisations: 10, chains: 2}}}}
"""
GOOD = {"name": "names", "model": "ising", "group": "scan", "scale": "fss", "series": "site"}
BAD = ["../escape", "/etc/x", "..", ".", "a/b", "a b", "$(touch canary)", "`touch canary`", "a;touch canary", "a'b", 'a"b',
       "a|b", "a&b", "a>b", "-rf", "--output", "a\nb", "a\n", "a\0b", "", "a" * 65, "é", "a{wildcards}", "~x", "a*"]  # fmt: skip


def campaign(**names):
    return CAMPAIGN.format(**{key: json.dumps(value) for key, value in (GOOD | names).items()})


@pytest.mark.parametrize("bad", BAD)
def test_names_that_could_are_refused(bad):
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(bad)


@pytest.mark.parametrize("key", ["name", "group", "scale", "series"])
@pytest.mark.parametrize("bad", ["../escape", "$(touch canary)"])
def test_wherever_a_campaign_names_something(key, bad):
    with pytest.raises(InputError, match=r"c\.yaml: "):
        parse(campaign(**{key: bad}), "c.yaml")


@pytest.mark.parametrize("key", GOOD)
def test_names_that_could_not_are_taken(key):
    """The twin: what is refused above is refused for its name alone."""
    good = {"name": "a-B_9", "group": "a-B_9", "scale": "a-B_9", "series": "A" * 64, "model": "ising"}
    assert parse(campaign(**{key: good[key]}), "c.yaml").name


def test_a_model_of_another_name_is_refused():
    with pytest.raises(InputError, match=r"c\.yaml"):
        parse(campaign(model="../ising"), "c.yaml")


@pytest.mark.parametrize(
    ("verb", "label"),
    [(("sample", "--ensemble"), "../../escape"), (("produce", "--series"), "site-L8/../../escape"),
     (("tune", "--ensemble"), "$(touch canary)")],
)  # fmt: skip
def test_labels_on_the_command_line_are_looked_up(tmp_path, verb, label):
    (tmp_path / "c.yaml").write_text(campaign())
    place = ["--output", "out/x.h5", *(["--state", "out/state"] if verb[0] != "tune" else [])]
    said = hpcrg(tmp_path, verb[0], "c.yaml", verb[1], label, *place, status=2)
    assert f"found {label!r}" in said
    assert [p.name for p in tmp_path.rglob("*")] == ["c.yaml"]


def test_paths_with_anything_in_them_are_paths(tmp_path):
    """The verbs themselves use no shell."""
    place = tmp_path / "a 'b' \"c\" $(touch canary) ;touch canary"
    place.mkdir()
    (place / "c $(touch canary).yaml").write_text(campaign())
    files = [place / "c $(touch canary).yaml", "--ensemble", "scan-L8", "--output", place / "b `touch canary`.h5"]
    hpcrg(tmp_path, "sample", *files, "--state", place / "state $(touch canary)")
    assert (place / "b `touch canary`.h5").exists()
    assert not list(tmp_path.rglob("canary"))


EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>&lt;b&gt;"
MARKS = ("<script", "<img src=x", "onerror=alert(1)>")


def everywhere():
    """Estimates and figure data with the same text in every place that takes one."""
    made = Estimate(
        EVIL, EVIL, EVIL, (8,), 1.0, {"feed": np.array([1.0, 1.1])}, systematic={EVIL: 0.1}, settings={EVIL: [EVIL], "more": EVIL},
        reference=Reference(1.0, 0.1, EVIL),
    )  # fmt: skip
    other = Estimate(EVIL, f"{EVIL}2", EVIL, (8,), 1.2, {"feed": np.array([1.2, 1.3])})
    curve, mark = Curve(EVIL, [1.0, 2.0], [1.0, 2.0]), Mark(EVIL, x=1.0)
    figure = Figure(EVIL, EVIL, EVIL, EVIL, [curve], caption=EVIL, reference=mark)
    notes = [Note(level, EVIL) for level in ("failure", "warning", "info")]
    return [made, other], FigureData([figure], notes, [Table(EVIL, [EVIL], [[EVIL]])])


def written(place):
    """The page of a campaign and files that say it everywhere."""
    (place / "c.yaml").write_text(campaign() + f"report: {{title: {json.dumps(EVIL)}}}\n# {EVIL}\n")
    estimates, data = everywhere()
    estimate.save(place / "a.json", estimates)
    figures.save(place / "a.figures.json", data)
    run = dict.fromkeys(("id", "begun", "host", "job", "hpcrg"), EVIL)
    run |= {"seconds": 1.0, "ranks": 1, "packages": {EVIL: EVIL}}
    (place / "banks").mkdir()
    (place / "banks" / "scan-L8.provenance.json").write_text(json.dumps([run]))
    hpcrg(place, "report", "c.yaml", "a.json", "a.figures.json", "--output", "report.html", "--estimates", "all.json")
    return (place / "report.html").read_text()


def structure(text):
    """Tags with the names of their attributes, and the attributes' values."""
    from html.parser import HTMLParser

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tags, self.values = [], []

        def handle_starttag(self, tag, attrs):
            self.tags.append((tag, tuple(name for name, _ in attrs)))
            self.values += [value or "" for _, value in attrs]

    reader = Reader()
    reader.feed(text)
    return reader


def test_the_report_escapes_everything_that_it_prints(tmp_path):
    text = written(tmp_path)
    assert text.count("&lt;script&gt;") > 20
    assert not any(mark in text for mark in MARKS)
    page = structure(text)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "b&gt;"}
    assert all(not name.startswith("on") for _, names in page.tags for name in names)
    assert {names for tag, names in page.tags if tag == "img"} == {("src", "alt")}
    assert "Content-Security-Policy" in text


def test_the_pictures_of_the_report_are_escaped_too(tmp_path):
    """Texts are drawn as outlines; what matplotlib writes beside them is well-formed, and has neither scripts nor links
    to elsewhere."""
    import base64
    from xml.etree import ElementTree

    values = structure(written(tmp_path)).values
    pictures = [v.partition("base64,")[2] for v in values if v.startswith("data:image/svg")]
    assert len(pictures) == 2
    for picture in pictures:
        text = base64.b64decode(picture).decode()
        assert not any(mark in text for mark in MARKS)
        for element in ElementTree.fromstring(text).iter():  # noqa: S314
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "image", "a")
            for name, value in element.attrib.items():
                assert not name.startswith("on")
                assert not name.endswith("href") or value.startswith("#")


def test_an_unescaped_page_is_seen(tmp_path):
    """The comparison has power: with one value marked as safe the test above fails."""
    page = structure(f'<p title="{EVIL}">{EVIL}</p>')
    assert {"script", "img"} <= {tag for tag, _ in page.tags}
    assert any(name.startswith("on") for _, names in page.tags for name in names)


def test_there_is_one_folder_for_all_results():
    """Every path of the workflow begins with the results of the campaign's name."""
    rules = (Path(__file__).resolve().parents[2] / "workflow/rules/common.smk").read_text()
    assert 'OUT = f"results/{CAMPAIGN.name}"' in rules
