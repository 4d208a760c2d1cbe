# The program that Docker of tests/runner/fake_tools.py runs; it adds a first line that sets STATE.
import fnmatch
import hashlib
import json
import os
import sys
import time
from pathlib import Path

HOME = Path(STATE)  # type: ignore[name-defined] # noqa: F821
words = sys.argv[1:]
state = json.loads((HOME / "state.json").read_text())
images, tags = state["images"], state["tags"]
stdin = sys.stdin.read() if "login" in words else ""
environment = {k: v for k, v in os.environ.items() if k.startswith(("DOCKER", "GPUHOST"))}
with (HOME / "calls").open("a") as calls:
    calls.write(json.dumps({"words": words, "env": environment, "stdin": stdin}) + "\n")


def end(status: int = 0) -> None:
    (HOME / "state.json").write_text(json.dumps(state))
    sys.exit(status)


def fail(text: str) -> None:
    print(text, file=sys.stderr)
    end(1)


def full(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def make(name: str, content: str, env: list[str]) -> None:
    image_id = "sha256:" + hashlib.sha256(content.encode()).hexdigest()
    images[image_id] = {"Id": image_id, "Config": {"Env": env}}
    tags[full(name)] = image_id


def fail_if_configured(name: str) -> None:
    failure = state["fails"].get(name)
    if failure:
        if "kernel" in failure:
            with (HOME / "dmesg").open("a") as log:
                log.write(failure["kernel"])
        print(failure["out"], flush=True)
        time.sleep(failure.get("sleep", 0))
        end(failure["rc"])


def compose() -> None:
    verbs = ("config", "build", "pull")
    verb = next(word for word in words if word in verbs)
    rest = [word for word in words[words.index(verb) + 1 :] if not word.startswith("--")]
    services = state["services"]
    if verb == "config":
        names = [word for word in rest if word != "json"]
        missing = [name for name in names if name not in {**services, **state["hidden"]}]
        if missing:
            fail(f"no such service: {missing[0]}")
        named = {name: state["hidden"][name] for name in names if name in state["hidden"]}
        print(json.dumps({"name": "app", "services": {**services, **named}}))
        end()
    name = rest[-1]
    if name.startswith("gpuhost-base-"):
        model = json.loads(Path(words[words.index("-f") + 1]).read_text())
        base = model["services"][name]
        fail_if_configured(f"build {base['image']}")
        make(base["image"], Path(base["build"]["dockerfile"]).read_text(), [])
        end()
    service = {**services, **state["hidden"]}[name]
    image = service.get("image") or f"app-{name}"
    fail_if_configured(f"{verb} {name}")
    if verb == "build":
        make(image, json.dumps(service["build"]), service.get("env", []))
        print("#1 [1/1] FROM scratch\n#1 DONE 0.0s", flush=True)
    elif full(image) in state["registry"]:
        make(image, image, state["registry"][full(image)].get("env", []))
    else:
        fail(f"Error response from daemon: pull access denied for {image}, repository does not "
             "exist or may require 'docker login'")  # fmt: skip
    end()


if words[0] == "compose":
    compose()
elif words[:2] == ["image", "inspect"]:
    image = images.get(tags.get(full(words[2]), words[2]))
    if image is None:
        fail(f"Error response from daemon: No such image: {words[2]}")
    print(json.dumps([image]))
elif words[:2] == ["image", "tag"]:
    tags[words[3]] = words[2]
elif words[:2] == ["image", "ls"]:
    pattern = words[-1].removeprefix("reference=")
    print("\n".join(tag for tag in tags if fnmatch.fnmatch(tag.rpartition(":")[0], pattern)))
elif words[:2] == ["image", "rm"]:
    fail_if_configured(f"rm {words[2]}")
    del tags[words[2]]
elif words[0] == "login":
    fail_if_configured(f"login {words[-1]}")
elif words[0] == "info":
    print(f'"{HOME}" [["Backing Filesystem","extfs"]]')
else:
    fail(f"the fake docker does not know {words}")
end()
