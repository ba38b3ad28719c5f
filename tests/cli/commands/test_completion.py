"""`kerasvit completion`: what real shells offer."""

import shutil
import subprocess

import pytest


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The script of each shell."""
    from kerasvit.cli.commands.completion import known_names
    from kerasvit.cli.completion import SHELLS, commands_of
    from kerasvit.cli.main import make_parser

    folder = tmp_path_factory.mktemp("scripts")
    (subparsers,) = (a for a in make_parser()._actions if a.dest == "command")
    commands = commands_of(subparsers, known_names())
    for shell, write in SHELLS.items():
        (folder / shell).write_text(write(commands))
    return folder


def in_bash(scripts, line):
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {scripts / 'bash'}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        "_kerasvit; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    return output("bash", "--norc", "-c", code)


def in_zsh(scripts, line):
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    # `compdef` is zsh's own, which needs a terminal.
    code = (
        f"compdef() {{ :; }}; source {scripts / 'zsh'}; "
        f"setopt ksharrays; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        '_kerasvit; print -l -- "${COMPREPLY[@]}"'
    )
    # zsh itself leaves out what does not begin as typed.
    return [name for name in output("zsh", "-f", "-c", code) if name.startswith(words[-1])]


def in_fish(scripts, line):
    code = f"cd {scripts}; source {scripts / 'fish'}; complete -C '{line}'"
    offered = output("fish", "--no-config", "-c", code)
    return [entry.split("\t")[0] for entry in offered]


def output(program, *arguments):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("ask", [in_bash, in_zsh, in_fish])
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("kerasvit sal", "saliency"),
        ("kerasvit completion zs", "zsh"),
        ("kerasvit saliency -m cait_xxs24_384", "cait_xxs24_384.fb_dist_in1k"),
        ("kerasvit convert dino_vit", "dino_vits8"),
        ("kerasvit info dinov2_vits14_", "dinov2_vits14_reg"),
        ("kerasvit saliency --sty", "--style"),
        ("kerasvit saliency --style mod", "modulate"),
        ("kerasvit train cifar10_cait", "cifar10_cait_nano"),
        ("kerasvit saliency --method legr", "legrad"),
    ],
)
def test_shells_offer_what_there_is(scripts, ask, line, wanted):
    offered = ask(scripts, line)
    assert wanted in offered
    typed = line.rsplit(" ", 1)[1].casefold()
    assert all(typed in name.casefold() for name in offered if not name.endswith("/"))


def test_bash_goes_on_after_a_comma(scripts):
    assert in_bash(scripts, "kerasvit saliency --format png,sv") == ["png,svg"]
    assert in_bash(scripts, "kerasvit saliency --method rollout,legr") == ["rollout,legrad"]


def test_bash_leaves_files_to_itself(scripts):
    assert in_bash(scripts, "kerasvit saliency -o some") == [""]
    assert "complete -o default" in (scripts / "bash").read_text()


def test_the_command_prints_the_script(run):
    result = run("completion", "fish")
    assert result.code == 0
    assert "complete -c kerasvit" in result.out
