"""Anyone's own images: identity, resolution, contradictions; patterns and lists alike."""

import json

import pytest
import trees

from pipeline.sources.own import OwnImages, list_images, parse_options
from pipeline.sources.pattern import compile_pattern
from pipeline.split import split_of
from shards.foundation.errors import Fault, Misuse
from shards.record import person_of_finger


def by_pattern(root, pattern, ppi=500.0):
    return list_images(OwnImages("folder/lab", compile_pattern(pattern), None, ppi), [root])


def by_list(path, ppi=500.0):
    return list_images(OwnImages("folder/lab", None, path, ppi), [path.parent])


def reasons(listing):
    return [f"{note.path.name}: {note.reason}" for note in listing.unparsed]


def rows(tmp_path, *lines, name="lab.csv", files=True):
    """Write a list, and the files that its first column names."""
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines[1:] if files else ():
        image = tmp_path / line.split(",")[0]
        if image.name and not image.exists():
            trees.png(image)
    return path


# Identity


def test_a_finger_is_a_person_and_a_name(tmp_path):
    for name in ("ann/l1_1", "ann/l1_2", "ann/r1_1", "bob/l1_1"):
        trees.png(tmp_path / f"{name}.png")
    listing = by_pattern(tmp_path, "{person}/{finger}_{impression}")
    assert [(i.image_id, i.person, i.finger) for i in listing.impressions] == [
        ("folder/lab/ann%2Fl1_1", "folder/lab/ann", "folder/lab/ann/l1"),
        ("folder/lab/ann%2Fl1_2", "folder/lab/ann", "folder/lab/ann/l1"),
        ("folder/lab/ann%2Fr1_1", "folder/lab/ann", "folder/lab/ann/r1"),
        ("folder/lab/bob%2Fl1_1", "folder/lab/bob", "folder/lab/bob/l1"),
    ]
    assert all(person_of_finger(i.finger) == i.person for i in listing.impressions)
    assert [note.reason for note in listing.understood][:1] == [
        "person ann, finger l1, impression 1, 500 ppi (--ppi)"
    ]


def test_a_finger_without_person_is_its_own_person(tmp_path):
    trees.png(tmp_path / "7_1.png")
    (impression,) = by_pattern(tmp_path, "{finger}_{impression}").impressions
    assert impression.person == impression.finger == "folder/lab/7"
    assert person_of_finger(impression.finger) == impression.person


def test_finger_positions(tmp_path):
    for code in ("1", "07", "11", "12", "0", "13", "1234"):
        trees.png(tmp_path / f"ann_{code}_{code}.png")
    listing = by_pattern(tmp_path, "{person}_{frgp}_{impression}")
    assert {
        i.path.stem[4:].split("_")[0]: (i.frgp, i.finger[-2:]) for i in listing.impressions
    } == {
        "1": (1, "01"),
        "07": (7, "07"),
        "11": (1, "01"),
        "12": (6, "06"),
    }
    assert len(listing.unparsed) == 3
    assert all("from 1 to 12 (FRGP)" in reason for reason in reasons(listing))


def test_sessions_distinguish_impressions(tmp_path):
    for name in ("1_s1_1", "1_s2_1"):
        trees.png(tmp_path / f"{name}.png")
    listing = by_pattern(tmp_path, "{finger}_{session}_{impression}")
    assert {i.finger for i in listing.impressions} == {"folder/lab/1"}
    assert len(listing.impressions) == 2


# Contradictions


def test_two_files_of_one_impression_are_both_named(tmp_path):
    for name in ("a/1_1", "b/1_1", "a/2_1"):
        trees.png(tmp_path / f"{name}.png")
    listing = by_pattern(tmp_path, "re:[ab]/(?P<finger>.)_(?P<impression>.)")
    assert [i.path.parent.name + i.path.stem for i in listing.impressions] == ["a2_1"]
    assert reasons(listing) == [
        "1_1.png: is the same impression as b/1_1.png: finger 1, impression 1",
        "1_1.png: is the same impression as a/1_1.png: finger 1, impression 1",
    ]


def test_one_image_in_two_formats_is_used_once(tmp_path):
    trees.png(tmp_path / "1_1.png")
    trees.png(tmp_path / "1_1.bmp")
    listing = by_pattern(tmp_path, "{finger}_{impression}")
    assert [i.path.name for i in listing.impressions] == ["1_1.png"]
    assert [note.path.name for note in listing.excluded] == ["1_1.bmp"]
    assert not listing.unparsed


@pytest.mark.parametrize(
    "names, what",
    [
        (("1_1", "01_2"), "its finger '01' is '1' in 1_1.png"),
        (("a_1", "A_2"), "its finger 'A' is 'a' in a_1.png"),
    ],
)
def test_names_that_differ_in_case_or_zeros_alone_are_refused(tmp_path, names, what):
    for name in names:
        trees.png(tmp_path / f"{name}.png")
    listing = by_pattern(tmp_path, "{finger}_{impression}")
    assert not listing.impressions
    assert any(what in reason for reason in reasons(listing))
    assert len(listing.unparsed) == 2


def test_every_unlabelled_image_is_taken(tmp_path):
    names = ["A.png", "a.png", "scan_001.png", "scan_1.png", "sub/a.png"]
    for name in [*names, "a.bmp"]:
        trees.png(tmp_path / name)
    listing = by_pattern(tmp_path, "unlabelled")
    assert sorted(i.path.relative_to(tmp_path).as_posix() for i in listing.impressions) == names
    assert [note.path.name for note in listing.excluded] == ["a.bmp"]


def test_persons_that_differ_in_zeros_alone_are_refused(tmp_path):
    for name in ("p1_l_1", "p01_r_1", "p2_r_1"):
        trees.png(tmp_path / f"{name}.png")
    listing = by_pattern(tmp_path, "{person}_{finger}_{impression}")
    assert [i.person for i in listing.impressions] == ["folder/lab/p2"]


# Resolution


def test_source_of_the_resolution(tmp_path):
    trees.png(tmp_path / "1_1_1000.png", 600)
    assert by_pattern(tmp_path, "{finger}_{impression}_{ppi}").impressions[0].ppi == 1000
    assert by_pattern(tmp_path, "{finger}_{impression}_1000").impressions[0].ppi == 500
    (note,) = by_pattern(tmp_path, "{finger}_{impression}_{ppi}").understood
    assert note.reason.endswith("1000 ppi (stated for this image; the file states 600)")
    tagged = by_pattern(tmp_path, "{finger}_{impression}_1000", None)
    assert tagged.impressions[0].ppi == 600
    assert tagged.understood[0].reason.endswith("600 ppi (in the file)")


@pytest.mark.parametrize("ppi, pattern", [(None, "{finger}"), (72, "{finger}")])
def test_unknown_resolution_is_refused(tmp_path, ppi, pattern):
    trees.png(tmp_path / "1.png", ppi)
    listing = by_pattern(tmp_path, pattern, None)
    assert not listing.impressions
    assert "--ppi" in reasons(listing)[0]


@pytest.mark.parametrize("text", ["0", "72", "5080", "1e9", "nan", "500ppi"])
def test_resolution_of_a_row_has_the_usual_range(tmp_path, text):
    listing = by_list(rows(tmp_path, "path,finger,impression,ppi", f"a.png,1,1,{text}"))
    (reason,) = reasons(listing)
    assert "lab.csv line 2: its ppi is" in reason and "expected 200 to 4000" in reason


# Files


def test_files_that_are_not_images_are_counted_or_refused(tmp_path):
    trees.png(tmp_path / "1_1.png")
    for name in ("notes.txt", ".1_2.png", "2_1.gif", "three.png"):
        trees.png(tmp_path / name)
    listing = by_pattern(tmp_path, "{finger}_{impression}")
    assert sorted(note.path.name for note in listing.excluded) == [".1_2.png", "notes.txt"]
    assert sorted(note.path.name for note in listing.unparsed) == ["2_1.gif", "three.png"]
    assert len(listing.impressions) == 1


def test_every_extension_of_a_format_is_an_image(tmp_path):
    for number, extension in enumerate((".ppm", ".JPE", ".jfif", ".j2c", ".dib"), 1):
        trees.png(tmp_path / f"{number}_1{extension}")
    for name in ("6_1.tif.gz", "7_1.jxl", "images.tar.gz"):
        (tmp_path / name).write_bytes(b"x")
    listing = by_pattern(tmp_path, "{finger}_{impression}")
    assert len(listing.impressions) == 5
    reasons = {note.path.name: note.reason for note in listing.unparsed}
    assert reasons["6_1.tif.gz"] == "is a compressed image (.tif.gz); unpack it first"
    assert reasons.keys() == {"6_1.tif.gz", "7_1.jxl"}


def test_ignored_columns_of_a_list_are_named(tmp_path, capsys):
    by_list(rows(tmp_path, "path,finger,impression,device", "a.png,1,1,U"))
    assert "lab.csv: ignores the columns device" in capsys.readouterr().err


def test_files_without_header_need_their_size_and_resolution(tmp_path):
    for name in ("1_1.raw", "2_1.gray"):
        (tmp_path / name).write_bytes(bytes(80 * 70))
    pattern = compile_pattern("{finger}_{impression}")
    refused = list_images(OwnImages("folder/lab", pattern, None, 500.0), [tmp_path])
    assert not refused.impressions
    unknown = list_images(OwnImages("folder/lab", pattern, None, None, (80, 70)), [tmp_path])
    assert len(unknown.unparsed) == 2 and "--ppi" in unknown.unparsed[0].reason
    listing = list_images(OwnImages("folder/lab", pattern, None, 500.0, (80, 70)), [tmp_path])
    assert [i.raw_size for i in listing.impressions] == [(80, 70), (80, 70)]


def test_overlapping_roots_are_read_once(tmp_path):
    trees.png(tmp_path / "1_1.png")
    own = OwnImages("folder/lab", compile_pattern("{finger}_{impression}"), None, 500.0)
    assert len(list_images(own, [tmp_path, tmp_path]).impressions) == 1


def test_no_images_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="folder/lab: no image files"):
        by_pattern(tmp_path, "{finger}")


# Lists


def test_list_of_images(tmp_path):
    path = rows(
        tmp_path,
        "\ufeffpath,person,finger,impression,ppi,split,age",
        "a/1.png,ann,l1,1,1000,test,31",
        "a/2.png,ann,l1,2,,test,31",
        '"b,1.png",bob,l1,1,,train,40',
        ",,,,,,",
        files=False,
    )
    for name in ("a/1.png", "a/2.png", "b,1.png"):
        trees.png(tmp_path / name)
    listing = by_list(path)
    assert not listing.unparsed
    assert [(i.image_id, i.person, i.ppi, i.split) for i in listing.impressions] == [
        ("folder/lab/a%2F1", "folder/lab/ann", 1000, "test"),
        ("folder/lab/a%2F2", "folder/lab/ann", 500, "test"),
        ("folder/lab/b,1", "folder/lab/bob", 500, "train"),
    ]
    assert [split_of(i) for i in listing.impressions] == ["test", "test", "train"]


def test_json_lines_are_the_same_list(tmp_path):
    objects = [
        {"path": "1.png", "person": "ann", "finger": 7, "impression": 1, "ppi": 1000.0},
        {"path": "2.png", "person": "ann", "finger": 7, "impression": 2, "ppi": None},
    ]
    path = tmp_path / "lab.jsonl"
    path.write_text("\n\n".join(map(json.dumps, objects)) + "\n")
    for name in ("1.png", "2.png"):
        trees.png(tmp_path / name)
    listing = by_list(path)
    assert [(i.finger, i.ppi) for i in listing.impressions] == [
        ("folder/lab/ann/7", 1000),
        ("folder/lab/ann/7", 500),
    ]


@pytest.mark.parametrize(
    "number, text", [(7.0, "7"), (1234567.0, "1234567"), (1234568.0, "1234568"), (0.12345678, None)]
)
def test_numbers_of_json_lines_keep_their_digits(tmp_path, number, text):
    trees.png(tmp_path / "1.png")
    path = tmp_path / "lab.jsonl"
    path.write_text(json.dumps({"path": "1.png", "finger": number, "impression": 1}))
    (impression,) = by_list(path).impressions
    assert impression.finger == f"folder/lab/{text or number}"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("../1.png", "expected one below the folder of the list"),
        ("a/../../1.png", "expected one below"),
        ("/etc/1.png", "expected one below"),
        ("C:/1.png", "expected one below"),
        ("a\\1.png", "expected one below"),
        ("~/1.png", "expected one below"),
        ("gone.png", "is no file"),
        ("lab.csv", "not an image"),
        ("x" * 5000 + ".png", "is no file"),
    ],
)
def test_paths_of_a_list_stay_below_it_and_exist(tmp_path, text, reason):
    path = rows(tmp_path, "path,finger,impression", f'"{text}",1,1', files=False)
    (unparsed,) = by_list(path).unparsed
    assert "lab.csv line 2" in unparsed.reason
    assert reason in unparsed.reason


@pytest.mark.parametrize(
    "lines, reason",
    [
        (
            ["path,finger,impression", "a.png,1,1", "./a.png,2,1"],
            "is listed twice, also in lab.csv",
        ),
        (["path,finger,impression", "a.png,1,1", "b.png,1,1"], "is the same impression as lab.csv"),
        (
            ["path,person,finger,impression,split", "a.png,p,1,1,train", "b.png,p,2,1,val"],
            "is in train, that of lab.csv line 3 in val",
        ),
        (
            ["path,finger,impression,split", "a.png,1,1,train", "b.png,2,1,"],
            "states no split, lab.csv line 2 does",
        ),
        (
            ["path,finger,impression,split", "a.png,1,1,valid", "b.png,2,1,test"],
            "its split is 'valid'; expected train, val, test",
        ),
        (
            ["path,person,finger,impression", "a.png,p,1,1", "b.png,,2,1"],
            "states no person, as others do",
        ),
        (["path,finger,impression", "a.png,,1", "b.png,2,1"], "states no finger"),
        (
            ["path,person,finger,frgp,impression", "a.png,1,x,7,1", "b.png,1,,8,1"],
            "states both a finger and a frgp",
        ),
        (["path,finger,impression", "a.png,1,1", "a.bmp,2,1"], "has the name of lab.csv line 2"),
        (
            ["path,finger,impression", f"a.png,{5000 * '7'},1"],
            "line 2: its finger has 5,000 characters; expected up to 255",
        ),
        (
            ["path,person,finger,impression", f"a.png,{256 * 'x'},1,1"],
            "line 2: its person has 256 characters; expected up to 255",
        ),
    ],
)
def test_contradictions_of_a_list_are_named(tmp_path, lines, reason):
    found = reasons(by_list(rows(tmp_path, *lines)))
    assert any(reason in text for text in found), found


@pytest.mark.parametrize(
    "lines, reason",
    [
        (["path;finger;impression", "a.png;1;1"], "semicolons"),
        (["path,impression", "a.png,1"], "no column finger"),
        (["path,Finger,impression", "a.png,1,1"], "'Finger'"),
        (["path,finger,impression,dpi", "a.png,1,1,500"], "'dpi'"),
        (["path,Subject_ID,finger,impression", "a.png,7,1,1"], "'Subject_ID'"),
        (["path,finger,finger,impression", "a.png,1,1,1"], "both 'finger'"),
        (["path,finger,impression", "a.png,1"], "line 2: has no cell for the column 'impression'"),
        (["path,finger,impression", "a.png,1,1,9"], "line 2: column 4"),
    ],
)
def test_tables_that_could_be_read_in_two_ways_are_misuse(tmp_path, lines, reason):
    with pytest.raises(Misuse) as misuse:
        by_list(rows(tmp_path, *lines, files=False))
    assert reason in str(misuse.value)


@pytest.mark.parametrize("name", ["lab.json", "lab.xlsx", "lab", "gone.csv"])
def test_other_files_are_no_lists(tmp_path, name):
    if name != "gone.csv":
        (tmp_path / name).write_text("path,finger,impression\na.png,1,1\n")
    with pytest.raises(Misuse, match=name):
        by_list(tmp_path / name)


def test_utf16_is_named(tmp_path):
    for name in ("lab.csv", "lab.jsonl"):
        (tmp_path / name).write_text("path,finger,impression\n", encoding="utf-16")
        with pytest.raises(Misuse, match="UTF-16"):
            by_list(tmp_path / name)


@pytest.mark.parametrize(
    "line, reason",
    [
        ("{", "line 1: is not JSON"),
        ("[]", "has no path"),
        ('["path"]', "is not a JSON object"),
        ("7", "is not a JSON object"),
        ('{"path": "a.png", "path": "b.png"}', "'path' occurs twice"),
        ('{"path": "a.png", "Finger": 1}', "'Finger' looks like 'finger'"),
        ('{"path": "a.png", "dpi": 500}', "'dpi' looks like 'ppi'"),
        ('{"path": ["a.png"]}', "expected a text or a number"),
        ('{"path": "a.png", "finger": true}', "expected a text or a number"),
        (r'{"path": "a.png", "finger": "\ud800"}', "line 1: finger: is '\\ud800'"),
        ('{"path": "a.png", "finger": 1}', "has no impression"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_wrong_json_lines_are_misuse(tmp_path, line, reason):
    (tmp_path / "lab.jsonl").write_text(line)
    with pytest.raises(Misuse) as misuse:
        by_list(tmp_path / "lab.jsonl")
    assert reason in str(misuse.value)


# Options


@pytest.mark.parametrize(
    "options, reason",
    [
        (("{finger}", "lab.csv", "x", None), "one of --layout and --list"),
        (("{finger}", None, None, None), "need --name"),
        (("{finger}", None, "a/b", None), "--name 'a/b'"),
        (("{finger}", None, "", None), "--name ''"),
        (("{finger}", None, "x" * 101, None), "--name"),
        (("{finger}", None, "x", 72.0), "--ppi 72: expected 200 to 4000"),
        (("{finger}", None, "x", 500.0, "388"), "'388' is no size of an image"),
        ((None, None, None, None, "388x374"), "go with a pattern"),
        (("{finger}_{ppi}", None, "x", 500.0), "the names state each resolution"),
        ((None, None, "x", None), "go with a pattern"),
        ((None, None, None, 500.0), "go with a pattern"),
        (("fvc2004", None, None, 500.0), "go with a pattern"),
        (("socofing", None, "x", None), "leave it out"),
        (("sd302", None, None, None), "leave it out"),
    ],
)
def test_wrong_options_are_misuse(options, reason):
    with pytest.raises(Misuse) as misuse:
        parse_options(*options)
    assert reason in str(misuse.value)


def test_partition_and_name():
    stated = parse_options("{finger}", None, None, None, partitions=["folder/lab"])
    assert stated.partitions == ("folder/lab",)
    assert parse_options("FVC2004", None, None, None).fvc_year == 2004
    assert parse_options(None, None, None, None).partitions == ()
    with pytest.raises(Misuse, match="there is only folder/lab"):
        parse_options("{finger}", None, "lab", None, partitions=["sd302/U", "folder/lab"])
