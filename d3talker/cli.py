"""The command line: one row a sub-command, each loaded only when it is called, so that --help needs no torch."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from d3talker.errors import UserError
from d3talker.version import __version__

# name -> (module, its frozen dataclass; the module's `run(config)` does the work), one line of help
COMMANDS: dict[str, tuple[str, str, str]] = {
    "doctor": ("d3talker.doctor", "DoctorConfig", "say what this machine has, and how to get what is missing"),
    "weights": ("d3talker.weights_command", "WeightsConfig", "list the network weights of others, or fetch them"),
    "prepare": ("d3talker.people.preparation.prepare", "PrepareConfig", "make a subject folder from a video"),
    "inspect": ("d3talker.people.preparation.inspect", "InspectConfig", "say what a subject folder holds and what is missing"),
    "synth": ("d3talker.people.synthetic.subjects", "SynthConfig", "make subject folders of synthetic people who talk"),
    "motion": ("d3talker.learning.motion.commands", "MotionConfig", "train facial motion from sound, or import coefficients"),
    "pretrain": ("baselines.commands", "PretrainCommand", "train what all identities share, on several subjects"),
    "adapt": ("baselines.commands", "AdaptCommand", "train one subject on a few seconds of its video"),
    "render": ("baselines.commands", "RenderCommand", "render a trained subject from its own or any other sound"),
    "speak": ("eval.speak", "SpeakConfig", "from a video and a sound to a talking video, in one line"),
    "view": ("d3talker.view.command", "ViewConfig", "look into a trained head, or at a subject's tracking, in the browser"),
    "export": ("d3talker.export.command", "ExportConfig", "write a trained head as .ply, cameras, mesh and video"),
    "bench": ("eval.bench", "BenchConfig", "train, render and score; fill a results folder"),
    "evaluate": ("eval.evaluate", "EvaluateConfig", "score a predictions folder or a video"),
    "demo": ("reports.demo", "DemoConfig", "all of it on synthetic people, in ten minutes, ending in a report"),
    "report": ("reports.report", "ReportConfig", "turn a results folder into tables, figures and HTML"),
    "compare": ("reports.compare", "CompareConfig", "your own predictions beside all methods of a results folder"),
    "import": ("eval.intake", "ImportConfig", "read another method's outputs into a predictions folder"),
    "run": ("eval.external", "RunConfig", "train and render with a method's official code, in its own environment"),
    "methods": ("baselines.listing", "MethodsConfig", "list all methods and their published numbers, or add one"),
    "check": ("baselines.checking", "CheckConfig", "run the contract tests on a method"),
}
FLAGS = ("-h", "--help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.  Exit codes: 0 done, 1 some jobs failed, 2 bad input (one sentence on stderr), 130 interrupted."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(args)
    except UserError as error:
        print(f"d3talker: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("d3talker: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a read-only folder: the user's to mend, not a bug
        print(f"d3talker: {error.strerror or error}: {error.filename or 'no file named'}", file=sys.stderr)
        return 2


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in FLAGS:
        print(usage())
        return 0
    if args[0] == "--version":
        print(__version__)
        return 0
    if args[0] not in COMMANDS:
        raise UserError(f"there is no command '{args[0]}'; the commands are: {', '.join(COMMANDS)}")
    module_name, class_name, _ = COMMANDS[args[0]]
    import tyro

    module = importlib.import_module(module_name)
    kind = getattr(module, class_name)
    default = kind.defaults(args[1:]) if hasattr(kind, "defaults") else None
    extra = {} if default is None else {"default": default}
    form = kind if default is None or not hasattr(kind, "__parameters__") else kind[type(default.model)]  # the method's own options
    config = tyro.cli(form, prog=f"d3talker {args[0]}", args=args[1:], **extra)
    return int(module.run(config) or 0)


def usage() -> str:
    """The text of `d3talker --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {help_}" for name, (_, _, help_) in COMMANDS.items())
    return (
        "usage: d3talker COMMAND [options]\n\nFew-shot 3D talking heads: D³-Talker, and the benchmark around it.\n\n"
        f"commands:\n{rows}\n\n  d3talker COMMAND --help  all options of a command\n  d3talker --version"
    )


if __name__ == "__main__":
    sys.exit(main())
