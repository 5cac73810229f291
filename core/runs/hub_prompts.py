"""Prompts on the Hugging Face Hub: fetched by name, checked as files from anywhere are; pushed with the caller's login.

Only the files that a prompt is read from are fetched, none that is larger than such a file can be, and never a pickle.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from core.errors import LabError, as_path, shown
from core.models.language_model import LanguageModel
from core.models.weights import ADAPTER_CONFIG, hub_reachable
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_config import read_config
from core.runs.adapter_files import CARD, LARGEST_JSON, MOST_LISTED, PICKLE, RECIPE, RUN, WEIGHTS, SeveralPrompts
from core.runs.prompt_names import OnHub, check_upload, on_hub
from core.runs.run_file import LARGEST_RUN
from core.runs.saved_adapter import Learned, from_files

LARGEST_ADAPTER = 256 * 2**20  # bytes; a K/V prefix of 200 positions on a 70B Llama is 66 MB


def load(name: str, lm: LanguageModel, template: str = "") -> Learned:
    """A learned prompt from a folder or zip, or, where there is none of that name, from the Hub.

    There it is called owner/name or hub:owner/name; one of several in a repository is hub:owner/name/folder. template: for a
    prompt without recipe.json. Raises LabError for anything that is not one, or can't be had.
    """
    place = on_hub(name)
    return storage.load(name, lm, template) if place is None else load_from_hub(place, lm, template)


def load_from_hub(place: OnHub, lm: LanguageModel, template: str = "") -> Learned:
    """As `load`. SeveralPrompts, with their folders, where the repository holds several and none is named."""
    files = fetch(place.repo, storage.largest_files(lm), place.folder)
    return from_files(files, lm, f"{place.repo}/{place.folder}" if place.folder else place.repo, template)


def fetch(repo: str, most: Mapping[str, int], folder: str = "") -> dict[str, bytes]:
    """An adapter's files from the Hub: those named in `most`, none of them larger than it says there, in bytes.

    folder: the one in the repository that holds them; "" for its root, or for the only folder that holds a prompt. What was fetched
    before is asked for again only if the Hub can be reached. Raises LabError, in one sentence, for a name that isn't there, one
    that needs a login, and no network.
    """
    api = huggingface_hub.HfApi()
    here_only = not hub_reachable()
    files: dict[str, bytes] = {}
    try:
        for name, largest in most.items():
            there = f"{folder}/{name}" if folder else name
            if not here_only and not _fits(api, repo, there, largest, files):
                if there == ADAPTER_CONFIG and (inside := _only_folder(api, repo)):
                    return fetch(repo, most, inside)
                continue
            try:
                path = Path(api.hf_hub_download(repo, there, local_files_only=here_only))
            except (EntryNotFoundError, LocalEntryNotFoundError):
                if name == ADAPTER_CONFIG and here_only:
                    raise
                continue
            if path.stat().st_size > largest:
                raise _too_large(repo, name)
            files[name] = path.read_bytes()
        if WEIGHTS not in files and not here_only and api.file_exists(repo, f"{folder}/{PICKLE}" if folder else PICKLE):
            files[PICKLE] = b""
    except LabError:
        raise
    except Exception as error:  # a network, a server, a cache: what they raise has no common kind
        raise _told(error, repo, "fetched") from error
    return files


def _only_folder(api: huggingface_hub.HfApi, repo: str) -> str:
    """The folder in a repository that holds a prompt, "" where none does. LabError, with their names, where several do."""
    inside = [file.removesuffix(f"/{ADAPTER_CONFIG}") for file in api.list_repo_files(repo) if file.endswith(f"/{ADAPTER_CONFIG}")]
    if len(inside) > 1:
        raise SeveralPrompts(repo, inside[:MOST_LISTED], f"hub:{repo}")
    return inside[0] if inside else ""


def _fits(api: huggingface_hub.HfApi, repo: str, there: str, largest: int, files: Mapping[str, bytes]) -> bool:
    """Whether the Hub has this file. LabError where it is too large, or isn't this kind of adapter's."""
    folder, _, name = there.rpartition("/")
    if name == WEIGHTS and ADAPTER_CONFIG not in files and not folder and api.file_exists(repo, "config.json"):
        raise LabError(f"{shown(repo)} is a model and no learned prompt: choose it as the model, and here a prompt that was trained on it.")
    if name == WEIGHTS:
        read_config(
            files.get(ADAPTER_CONFIG), f"{repo}/{folder}" if folder else repo
        )  # before megabytes of another method's weights are fetched
    try:
        found = api.get_hf_file_metadata(url=huggingface_hub.hf_hub_url(repo, there, endpoint=api.endpoint))
    except EntryNotFoundError:
        return False
    if found.size is None or found.size > largest:
        raise _too_large(repo, name)
    return True


def _too_large(repo: str, name: str) -> LabError:
    return LabError(f"{name} of {shown(repo)} is larger than a learned prompt for this model can be: choose another.")


@dataclass(frozen=True)
class Pushed:
    """Where a prompt is now, and which files were uploaded."""

    url: str
    files: tuple[str, ...]


def push(folder: str | Path, repo: str, private: bool = False, run: bool = False) -> Pushed:
    """Upload a saved prompt to the Hub as `repo` (owner/name), which is made where it isn't there; as one commit.

    run: also run.json, which holds rows of the task. Raises LabError without a login or network, and for whatever the Hub refuses.
    """
    check_upload(folder, repo)
    files = _of_folder(as_path(folder), run)
    if not hub_reachable():
        raise LabError("The Hub can't be reached, so nothing was uploaded: check the network (and that HF_HUB_OFFLINE is not set).")
    api = huggingface_hub.HfApi()
    if not huggingface_hub.get_token():
        raise LabError("This machine is not logged in to the Hub: run `hf auth login`, or set HF_TOKEN to a token that may write.")
    try:
        url = str(api.create_repo(repo, private=True if private else None, exist_ok=True))
        if private and not api.model_info(repo).private:
            raise LabError(f"{shown(repo)} is there already, and public: choose another name, or make it private on its page.")
        add = [huggingface_hub.CommitOperationAdd(name, data) for name, data in files.items()]
        api.create_commit(repo, add, commit_message="Upload a prompt trained with Soft Prompt Lab")
    except LabError:
        raise
    except Exception as error:
        raise _told(error, repo, "uploaded") from error
    return Pushed(url, tuple(files))


def _of_folder(folder: Path, run: bool) -> dict[str, bytes]:
    """The files of a saved prompt that are for others to see."""
    most: dict[str, int] = {ADAPTER_CONFIG: LARGEST_JSON, WEIGHTS: LARGEST_ADAPTER, RECIPE: LARGEST_JSON, CARD: LARGEST_JSON}
    files = adapter_files.in_folder(folder, most | ({RUN: LARGEST_RUN} if run else {}))
    if WEIGHTS not in files:
        raise LabError(f"{shown(folder)} is not a saved prompt ({WEIGHTS} is missing): name a folder that was saved here or by PEFT.")
    read_config(files.get(ADAPTER_CONFIG), str(folder))
    files.pop(PICKLE, None)
    return files


def _told(error: Exception, repo: str, done: str) -> LabError:
    """What a Hub's refusal means to the person who asked."""
    if isinstance(error, GatedRepoError):
        return LabError(f"{shown(repo)} is gated on the Hub: ask for access on its page, then run `hf auth login`.")
    if isinstance(error, RepositoryNotFoundError):
        return LabError(f"{shown(repo)} is not on the Hub, or not for you to see: check the name, and `hf auth login` if it is private.")
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled):
        return LabError(f"{shown(repo)} is not on this machine, and the Hub can't be reached: check the network, or give a folder.")
    if isinstance(error, HFValidationError):
        return LabError(f"{shown(repo)} is no name on the Hub: write owner/name.")
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, HfHubHTTPError) and status in (401, 403):
        return LabError(f"The Hub refuses {shown(repo)} to this login: run `hf auth login` with a token that may do this.")
    reason = textwrap.shorten(str(error) or type(error).__name__, 160, placeholder=" …").rstrip(".")
    return LabError(f"{shown(repo)} could not be {done} ({reason}): check the name and the network, and try again.")
