"""Stands in for `gh`: answers from files in a folder, as GitHub would, and notes what it wrote.

The folder has `pulls.json`, `comments.json` and, if the run left one, the folder `artifact`.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

MAX_BODY = 65_536
PAGE = 2  # comments on a page


def main() -> None:
    """Answer one command, or end with GitHub's error."""
    folder = Path(os.environ["GITHUB_STAND_IN"])
    if not os.environ.get("GH_TOKEN") or os.environ.get("GH_REPO") != "owner/repository":
        sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN")
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    download = commands.add_parser("run").add_subparsers().add_parser("download")
    download.add_argument("run_id", type=int)
    download.add_argument("--name", required=True)
    download.add_argument("--dir", required=True)
    api = commands.add_parser("api")
    api.add_argument("path")
    api.add_argument("--method", default="GET")
    api.add_argument("-f", dest="fields", action="append", default=[])
    api.add_argument("--input", type=Path)
    api.add_argument("--paginate", action="store_true")
    api.add_argument("--silent", action="store_true")
    args = parser.parse_args()
    if args.command == "run":
        if args.name != "review" or not (folder / "artifact").exists():
            sys.exit("no valid artifacts found to download")
        shutil.copytree(folder / "artifact", args.dir, symlinks=True)
    else:
        call(folder, args)


def call(folder: Path, args: argparse.Namespace) -> None:
    comments: list[dict[str, Any]] = json.loads((folder / "comments.json").read_text())
    match (args.method, *args.path.partition("?")[0].split("/")):
        case ("GET", "repos", "owner", "repository", "pulls"):
            wanted = dict(field.split("=", maxsplit=1) for field in args.fields)
            owner, _, branch = wanted["head"].partition(":")
            pulls = json.loads((folder / "pulls.json").read_text())
            known = {"owner": owner, "ref": branch}
            print(json.dumps([pull for pull in pulls if known.items() <= pull["head"].items()]))
            return
        case ("GET", "repos", "owner", "repository", "issues", number, "comments"):
            found = [comment for comment in comments if comment["issue"] == int(number)]
            starts = range(0, max(len(found), 1), PAGE) if args.paginate else [0]
            print("".join(json.dumps(found[start : start + PAGE]) for start in starts))
            return
        case ("POST", "repos", "owner", "repository", "issues", number, "comments"):
            comment = {"id": 1000 + len(comments), "issue": int(number)}
            comments.append(comment | {"user": {"login": "github-actions[bot]"}})
        case ("PATCH", "repos", "owner", "repository", "issues", "comments", identifier):
            (comment,) = (one for one in comments if one["id"] == int(identifier))
            comments.remove(comment)
            comments.append(comment)
        case _:
            sys.exit(f"gh: Not Found (HTTP 404): {args.method} {args.path}")
    body = json.loads(args.input.read_text())["body"]
    if len(body) > MAX_BODY:
        sys.exit("gh: Validation Failed (HTTP 422): body is too long (maximum is 65536 characters)")
    comments[-1]["body"] = body
    (folder / "comments.json").write_text(json.dumps(comments))


if __name__ == "__main__":
    main()
