"""The folder that `make space` writes, started as a Space with ZeroGPU is: the real `spaces` package forks and pickles, in front of
a stand-in for the service that lends GPUs. All but the GPU itself."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from lender import START, Lender
from serving import ROOT, serve

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("spaces") is None, reason="the spaces package is not installed (requirements-dev.txt)"),
]


def token(user: str) -> str:
    return f"head.{base64.urlsafe_b64encode(json.dumps({'user': user}).encode()).decode().rstrip('=')}.signature"


@pytest.fixture(scope="module")
def lender() -> Lender:
    return Lender(spent=token("bob"))


@pytest.fixture(scope="module")
def space(lender: Lender, tiny_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("space")
    subprocess.run([sys.executable, "tools/space.py", str(folder), "ada/lab"], cwd=ROOT, check=True)
    group = folder / "cgroup"
    group.write_text("0::/a-space\n", "utf-8")
    yield from serve(
        command=("-c", START, "app.py"),
        folder=folder,
        SOFT_PROMPT_LAB_MODEL=tiny_folder,
        SPACE_ID="ada/lab",
        SYSTEM="spaces",
        SPACES_ZERO_GPU="true",
        SPACES_ZERO_DEVICE_API_URL=lender.address,
        ZEROGPU_PROC_SELF_CGROUP_PATH=str(group),
        NO_PROXY="127.0.0.1",
    )


def test_a_space_trains_in_forked_workers_in_the_visitors_name_and_without_gpu_time_here(space, lender, visit):
    ada = visit(space)
    ada.page.context.set_extra_http_headers({"x-ip-token": token("ada")})
    ada.ready()
    assert "zerogpu" in ada.page.text_content("#status")
    assert lender.asked("/startup-report") and not lender.asked("/schedule")  # idle work takes no visitor's time
    ada.train(12)
    asked = lender.asked("/schedule")
    assert {call["token"] for call in asked} == {token("ada")}
    assert all(0 < int(call["durationSeconds"]) <= 60 for call in asked)
    assert len(asked) >= 3  # 12 steps are two slices, then its score
    assert len(lender.asked("/allow")) < len(asked) == len(lender.asked("/release"))  # a worker is used again
    assert {call["fail"] for call in lender.asked("/release")} == {"false"}

    bob = visit(space)
    bob.page.context.set_extra_http_headers({"x-ip-token": token("bob")})
    bob.ready()
    before = len(asked)
    bob.page.fill("#set-steps input", "5")
    bob.page.click("#train")
    bob.page.wait_for_selector("text=this continues on the server's processor")
    bob.run_ends()
    refused = lender.asked("/schedule")[before:]
    assert {call["token"] for call in refused} == {token("bob")} and len(refused) == 1  # asked once for a press of Train
