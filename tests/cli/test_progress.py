"""Progress on standard error."""

from streamproc.cli import progress


def test_a_command_that_is_soon_done_says_nothing(capsys):
    with progress.loading_progress() as told:
        told("reading", 5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_long_one_says_a_line_now_and_then(capsys, monkeypatch):
    moments = iter([0.0, 4.9, 5.0, 5.0, 6.0, 9.9, 10.1, 10.1])
    monkeypatch.setattr("streamproc.cli.progress.time.monotonic", lambda: next(moments))
    with progress.loading_progress() as told:
        for done in (1000, 2000, 3000, 4000, 5000):
            told("reading notes", done, 9000)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "reading notes: 2,000 of 9,000\nreading notes: 5,000 of 9,000\n"


def test_on_a_terminal_there_are_bars(capsys, monkeypatch):
    monkeypatch.setattr("streamproc.cli.progress.sys.stderr.isatty", lambda: True)
    with progress.loading_progress() as told:
        told("reading", 1, 10)
        told("encoding", 0, 3)
        told("reading", 10, 10)
    assert capsys.readouterr().out == ""
