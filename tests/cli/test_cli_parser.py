"""Words become options as they were meant: clusters of ss and lsof, lsof's -i, values with dashes, clear errors."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.cli.choices import choose
from sockscope.cli.completion import completion, query_words
from sockscope.cli.errors import UsageError
from sockscope.cli.help_text import HELP
from sockscope.cli.manual import manual
from sockscope.cli.parser import SHELLS, make_parser, options_of, parse
from sockscope.cli.selection import select_from


def flags(*words: str) -> set[str]:
    return {name for name, value in vars(parse(words)).items() if value and name != "query"}


@pytest.mark.parametrize(("words", "expected"), [
    (["-tulpn"], {"tcp", "udp", "listening", "accepted"}),
    (["-tlnp"], {"tcp", "listening", "accepted"}),
    (["-antp"], {"tcp", "accepted"}),
    (["-nP"], {"accepted"}),
    (["-nPiTCP"], {"accepted", "inet"}),
    (["-4l"], {"ipv4", "listening"}),
    (["-xH"], {"unix", "no_header"}),
])
def test_clusters(words: list[str], expected: set[str]) -> None:
    assert flags(*words) == expected


@pytest.mark.parametrize(("words", "inet", "query"), [
    (["-i"], [""], []),
    (["-i", ":80"], [":80"], []),
    (["-i:80"], [":80"], []),
    (["-i", "nginx"], [""], ["nginx"]),
    (["nginx", "-i"], [""], ["nginx"]),
    (["-iTCP@127.0.0.1:80"], ["TCP@127.0.0.1:80"], []),
    (["-i", "tcp@127.0.0.1:80", "-i", "6"], ["tcp@127.0.0.1:80", "6"], []),
    (["-nP", "-i", ":80", "state:listen"], [":80"], ["state:listen"]),
    (["-nPi", ":80"], [":80"], []),
    (["-nPi:80"], [":80"], []),
    (["--inet", "4"], ["4"], []),
    (["-i@[::1]:22"], ["@[::1]:22"], []),
])
def test_lsof_s_i_takes_an_address_and_never_a_query(words: list[str], inet: list[str], query: list[str]) -> None:
    options = parse(words)
    assert (options.inet, options.query) == (inet, query)


def test_options_and_query_may_alternate() -> None:
    options = parse(["nginx", "--port", "80", "not", "-l", "user:root", "-p", "1", "--sort", "-receive"])
    assert options.query == ["nginx", "not", "user:root"]
    assert (options.port, options.pid, options.sort, options.listening) == (["80"], ["1"], "-receive", True)
    assert parse(["--json", "--", "-x"]).query == ["-x"]


@pytest.mark.parametrize(("words", "texts"), [
    (["--port", "x"], ["--port", "'x'", "0 to 65535"]),
    (["--port", "99999"], ["--port", "'99999'"]),
    (["--port", "htpp"], ["--port: 'htpp' is no port, range or known service"]),
    (["--port", "80,"], ["--port", "missing"]),
    (["--port"], ["--port needs a value"]),
    (["-nPi--"], ["-nPi needs a value"]),  # found by fuzzing: argparse made a list of it
    (["--pid", "-3"], ["--pid", "'-3'"]),
    (["--pid", "abc"], ["--pid", "numbers"]),
    (["-p", ""], ["missing"]),
    (["--state", "estb"], ["--state", "'estb'", "listen"]),
    (["--protocol", "tpc"], ["--protocol", "tcp udp"]),
    (["--user", ""], ["--user", "missing"]),
    (["-i", ":http,x"], ["-i", "'x'"]),
    (["-i:99999"], ["-i", "'99999'"]),
    (["-i@"], ["-i", "address is missing"]),
    (["-i@no-such-host.invalid"], ["-i", "no host"]),
    (["--interval", "x"], ["--interval", "500ms"]),
    (["--interval", "0"], ["--interval", "out of range"]),
    (["--for", "2q"], ["--for"]),
    (["--sort", "x"], ["--sort", "receive"]),
    (["--columns", "move,x"], ["--columns", "'x'", "process"]),
    (["--columns", "move,move"], ["twice"]),
    (["--source", "x"], ["--source", "netlink proc psutil"]),
    (["--color", "x"], ["--color", "auto always never"]),
    (["--json", "--csv"], ["--json and --csv exclude"]),
    (["--findings", "--csv"], ["exclude"]),
    (["--changes"], ["--ndjson"]),
    (["--prot", "80"], ["--prot", "did you mean"]),
    (["--json=3"], ["--json"]),
    (["-z"], ["-z", "no such option"]),
    (["-ti", ":80"], ["--pids"]),
    (["-ti:80"], ["--pids"]),
    (["-t", "-i", ":80"], ["--pids"]),
    (["-it"], ["'t'"]),
    (["prot:80"], ["query", "did you mean proto?", "character 1"]),
    (["nginx", "(a"], ["not closed", "character 7"]),
])
def test_errors_are_one_line_that_names_the_argument(words: list[str], texts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:  # noqa: PT012  # three steps, any of which may find the fault
        options = parse(words)
        choose(options)
        select_from(options)
    message = str(caught.value)
    assert "\n" not in message
    for text in texts:
        assert text in message


@given(st.lists(st.one_of(
    st.text(max_size=12),
    st.sampled_from(["-p", "--port", "80", "-i", ":80", "-tulpn", "--json", "--sort", "-x", "--", "=", "-", "--for"]),
), max_size=6))
def test_any_words_give_a_selection_or_a_usage_error(words: list[str]) -> None:
    if any("@" in word for word in words):  # would look a host up
        return
    with suppress(UsageError):
        options = parse(words)
        choose(options)
        select_from(options)


@pytest.mark.parametrize(("words", "query"), [
    (["--port", "80,443", "--port", "8000-8010"], "port:80,443,8000..8010"),
    (["--pid", "1,2"], "pid:1,2"),
    (["-t"], "proto:tcp,mptcp"),
    (["-t", "-u"], "proto:tcp,mptcp,udp,udplite"),
    (["-l", "-4"], "(state:listen or proto:udp,udplite,raw,icmp state:unconn) family:inet"),
    (["--state", "estab,close-wait"], "state:estab,close-wait"),
    (["-c", "a b,c"], 'process:"a b","c"'),
    (["--user", "root"], 'user:"root"'),
    (["-i", "-i", ":80"], "family:inet,inet6 or family:inet,inet6 port:80"),
    (["-i4tcp@127.0.0.1:80,443"], "family:inet proto:tcp addr:127.0.0.1 port:80,443"),
    (["nginx", "or", "redis", "--port", "80"], "port:80 (nginx or redis)"),
])
def test_options_narrow_and_commas_widen(words: list[str], query: str) -> None:
    assert str(select_from(parse(words)).query) == query


def test_help_fits_a_screen_and_names_every_option() -> None:
    lines = HELP.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    words = HELP.replace(",", " ").replace("[", " ").replace("]", " ").split()
    for action in options_of(make_parser()):
        short_only = {"-n", "-P", "-a", "--tcp", "--udp", "--unix", "--raw", "--ipv4", "--ipv6"}
        assert short_only & set(action.option_strings) or set(action.option_strings) <= set(words), action.option_strings


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_names_every_option_and_field(shell: str) -> None:
    script = completion(shell)
    for action in options_of(make_parser()):
        for name in action.option_strings:
            if name.startswith("--"):
                assert (name[2:] if shell == "fish" else name) in script
    assert all(word.split(":")[0] in script for word in query_words())


def test_the_manual_page_is_made_of_the_same_parser() -> None:
    page = manual()
    for action in options_of(make_parser()):
        for name in action.option_strings:
            assert name.replace("-", "\\-") in page
