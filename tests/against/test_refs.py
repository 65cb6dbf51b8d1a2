"""Which commit `--against REF` means, and what is said where there is none."""

import os
import shutil
from pathlib import Path

import pytest
from evaltape.against.tree import Commit, find_commit, find_tree
from evaltape.errors import UserError
from evaltape.git import find_repository

from tests.support.git import commit, git


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose branch `topic` left `main` at its second commit; `main` has four, and is checked out."""
    root = tmp_path_factory.mktemp("origin") / "origin"
    root.mkdir()
    for number in range(1, 5):
        (root / "file.txt").write_text(str(number))
        git_id = commit(root, f"main {number}")
        git(root, "tag", f"m{number}", git_id)
    git(root, "switch", "--quiet", "--create", "topic", "m2")
    (root / "topic.txt").write_text("topic")
    commit(root, "topic 1")
    git(root, "switch", "--quiet", "main")
    return root


@pytest.fixture
def topic(origin: Path, tmp_path: Path) -> Path:
    """A clone of it on branch `topic`; `main` is only `origin/main` there."""
    git(tmp_path, "clone", "--quiet", "--branch", "topic", str(origin), "clone")
    return tmp_path / "clone"


def shallow(origin: Path, tmp_path: Path, *options: str) -> Path:
    """A shallow clone on branch `topic`."""
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", "topic", *options, origin.as_uri(), "clone")
    return tmp_path / "clone"


def found(root: Path, ref: str) -> Commit:
    return find_commit(find_repository(root, ref), ref)


def refused(root: Path, ref: str) -> str:
    with pytest.raises(UserError) as error:
        find_tree(ref, root)
    return str(error.value)


# ---------------------------------------------------------------- what a ref means


@pytest.mark.parametrize(
    ("ref", "tag"),
    [
        ("origin/main", "m2"),
        ("main", "m2"),
        ("refs/remotes/origin/main", "m2"),
        ("HEAD", "topic"),
        ("topic", "topic"),
        ("HEAD~1", "m2"),
        ("m4", "m4"),
        ("m1", "m1"),
        ("origin/main~1", "m3"),
        ("origin/main^{commit}", "m4"),
    ],
)
def test_a_branch_means_its_merge_base_with_head_and_all_else_itself(topic: Path, ref: str, tag: str) -> None:
    assert found(topic, ref).id == git(topic, "rev-parse", tag)


def test_a_local_branch_and_a_full_commit_id(origin: Path) -> None:
    assert found(origin, "topic").id == git(origin, "rev-parse", "m2")
    tip = git(origin, "rev-parse", "topic")
    assert found(origin, tip).id == tip


def test_what_was_just_fetched_means_its_merge_base(origin: Path, topic: Path) -> None:
    git(topic, "fetch", "--quiet", "origin", "main")
    assert found(topic, "FETCH_HEAD").id == git(topic, "rev-parse", "m2")


def test_the_merge_commit_that_ci_checks_out_is_compared_with_the_tip_of_main(topic: Path) -> None:
    git(topic, "checkout", "--quiet", "--detach")
    git(topic, "merge", "--quiet", "--message", "as GitHub would merge it", "origin/main")
    assert found(topic, "origin/main").id == git(topic, "rev-parse", "m4")


def test_messages_name_the_merge_base_where_it_is_another_commit(topic: Path) -> None:
    day = git(topic, "show", "--no-patch", "--format=%cs", "m2")
    assert found(topic, "main").title == f"main (merge base {git(topic, 'rev-parse', 'm2')[:10]} of {day})"
    assert "merge base" not in found(topic, "m2").title


def test_a_tag_named_like_no_branch_is_not_moved(origin: Path) -> None:
    git(origin, "tag", "--force", "release", "topic")
    assert found(origin, "release").id == git(origin, "rev-parse", "topic")


def test_a_linked_worktree_and_a_folder_inside_are_in_the_repository(origin: Path, tmp_path: Path) -> None:
    git(origin, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"), "topic")
    (tmp_path / "linked/inside").mkdir()
    assert found(tmp_path / "linked/inside", "main").id == git(origin, "rev-parse", "m2")
    git(origin, "worktree", "remove", "--force", str(tmp_path / "linked"))


def test_what_a_git_hook_is_given_does_not_lead_to_another_repository(
    topic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    commit(tmp_path / "other", "of another repository")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other/.git/index"))
    base = found(topic, "main").id
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert base == git(topic, "rev-parse", "m2")


# ---------------------------------------------------------------- what isn't there


def test_an_unknown_ref_is_told_with_the_nearest_name_and_those_there_are(origin: Path) -> None:
    message = refused(origin, "topik")
    assert message.startswith("--against topik: no such git ref or folder. Did you mean 'topic'? Refs here: ")
    assert "main" in message and "m1" in message


def test_a_ref_that_is_perhaps_on_the_remote_is_told_with_the_command_that_fetches_it(topic: Path) -> None:
    message = refused(topic, "release-2")
    assert message.endswith("git fetch origin release-2:refs/remotes/origin/release-2")


@pytest.mark.parametrize("ref", ["main", "origin/main"])
def test_a_shallow_clone_without_the_branch_names_a_command_that_fetches_it(origin: Path, tmp_path: Path, ref: str) -> None:
    clone = shallow(origin, tmp_path)
    message = refused(clone, ref)
    command = "git fetch --unshallow origin main:refs/remotes/origin/main"
    assert message.endswith(f"This clone is shallow and may lack it: {command}")
    git(clone, *command.split()[1:])
    assert found(clone, ref).id == git(origin, "rev-parse", "m2")


def test_a_shallow_clone_without_the_merge_base_names_a_command_that_fetches_it(origin: Path, tmp_path: Path) -> None:
    clone = shallow(origin, tmp_path, "--no-single-branch")
    message = refused(clone, "main")
    assert message == (
        "--against main: this clone is shallow and lacks the commit where main and HEAD went apart. Fetch it: "
        "git fetch --unshallow (actions/checkout: fetch-depth: 0)"
    )
    git(clone, "fetch", "--unshallow")
    assert found(clone, "main").id == git(origin, "rev-parse", "m2")


@pytest.mark.parametrize("ref", ["HEAD~1", "m1"])
def test_a_shallow_clone_without_a_commit_says_so(origin: Path, tmp_path: Path, ref: str) -> None:
    ref = git(origin, "rev-parse", ref) if ref == "m1" else ref
    clone = shallow(origin, tmp_path)
    assert refused(clone, ref).endswith("This clone is shallow and may lack it: git fetch --unshallow")


def test_branches_without_a_common_commit_have_no_merge_base(origin: Path, tmp_path: Path) -> None:
    shutil.copytree(origin, tmp_path / "two")
    git(tmp_path / "two", "switch", "--quiet", "--orphan", "alone")
    commit(tmp_path / "two", "alone")
    message = refused(tmp_path / "two", "main")
    assert message == "--against main: it has no commit in common with HEAD, so there is no merge base. Name a commit instead"


def test_what_is_no_commit_is_refused(origin: Path) -> None:
    assert (
        refused(origin, "main:file.txt") == "--against main:file.txt: it names no commit. It takes a branch, a tag or a commit"
    )


@pytest.mark.parametrize("ref", ["--help", "", " "])
def test_what_looks_like_an_option_is_never_given_to_git(origin: Path, ref: str) -> None:
    assert refused(origin, ref).endswith("it takes a branch, a tag, a commit or a folder of recordings")


def test_a_folder_without_git_says_what_else_it_takes(tmp_path: Path) -> None:
    message = refused(tmp_path, "main")
    assert "is not in a git repository, so there is nothing to compare with. It also takes a folder" in message


def test_a_repository_without_a_commit_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert refused(tmp_path, "main") == "--against main: there is no commit yet to compare with"


def test_without_git_one_message_says_so(origin: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(origin, "main").startswith("--against main: git is not installed")


def test_a_repository_of_another_user_is_told_in_gits_own_words(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    message = refused(origin, "main")
    assert "dubious ownership" in message and "git config --global --add safe.directory" in message


def test_a_name_with_control_characters_is_shown_and_not_printed(origin: Path) -> None:
    assert "\x1b" not in refused(origin, "ma\x1b[31min")


# ---------------------------------------------------------------- folders


def with_samples(folder: Path) -> Path:
    (folder / "chats").mkdir(parents=True, exist_ok=True)
    (folder / "chats/samples.jsonl").write_text("")
    return folder


def test_a_folder_is_taken_where_no_ref_has_its_name(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(origin.parent)
    with_samples(origin.parent / "nightly")
    assert not find_tree("nightly", origin).side.commit


def test_what_is_a_ref_and_a_folder_is_the_ref_and_with_a_dot_the_folder(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(origin.parent)
    with_samples(origin.parent / "main")
    assert find_tree("main", origin).side.commit == git(origin, "rev-parse", "main")
    assert not find_tree(f".{os.sep}main", origin).side.commit
    assert not find_tree(str(origin.parent / "main"), origin).side.commit


def test_no_folder_stands_in_for_a_ref_that_can_not_be_read(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with_samples(tmp_path / "main")
    known = shallow(origin, tmp_path, "--no-single-branch")
    assert "this clone is shallow and lacks the commit where main and HEAD went apart" in refused(known, "main")


def test_a_folder_that_holds_nothing_to_compare_with_is_refused_with_what_git_says_of_its_name(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main").mkdir()
    message = refused(shallow(origin, tmp_path), "main")
    assert message.startswith(
        "--against main: the folder main holds neither recordings nor a suite. As a git ref: no such git ref"
    )
    assert message.endswith("This clone is shallow and may lack it: git fetch --unshallow origin main:refs/remotes/origin/main")
