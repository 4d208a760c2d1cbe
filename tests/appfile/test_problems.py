"""Problems in a block: the line, the key, the value, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appfile.files import app_of, assert_refused, problems

# A block, from line 2 on, and all its problems.
REFUSED: list[tuple[str, list[str]]] = [
    # Values.
    (
        "nginx:\n  rate_per_s: ten\n  upstream: 127.0.0.1:3000",
        ["3: x-gpuhost.nginx.rate_per_s = 'ten': a whole number, at least 1"],
    ),
    ("scale: {app: 0}", ["2: x-gpuhost.scale.app = 0: a whole number, at least 1"]),
    ("scale: {app: '2'}", ["2: x-gpuhost.scale.app = '2': a whole number, at least 1"]),
    ("scale: {app: true}", ["2: x-gpuhost.scale.app = true: a whole number, at least 1"]),
    ("scale: {app: null}", ["2: x-gpuhost.scale.app = null: a whole number, at least 1"]),
    ("scale: {app: [1]}", ["2: x-gpuhost.scale.app = a list: a whole number, at least 1"]),
    ("scale: [app]", ["2: x-gpuhost.scale = a list: a mapping, names to a whole number, at lea"]),
    ("keep_releases: 1", ["2: x-gpuhost.keep_releases = 1: a whole number, at least 2"]),
    (
        "gpu: {app: {cuda: 12.1}}",
        ['2: x-gpuhost.gpu.app.cuda = 12.1: a CUDA version in quotes, such as "12.1"'],
    ),
    ("build: {no_cache: yes}", ["2: x-gpuhost.build.no_cache = 'yes': true or false"]),
    ("build: {memory_gb: .nan}", ["2: x-gpuhost.build.memory_gb = nan: a number, at least 0"]),
    (
        "build: {memory_gb: 1e300, disk_gb: 1e300}\ngpu: {app: {vram_gb: 1e300}}",
        [
            "2: x-gpuhost.build.disk_gb = 1e+300: a number, at least 0, at most 1000000",
            "2: x-gpuhost.build.memory_gb = 1e+300: a number, at least 0, at most 1000000",
            "3: x-gpuhost.gpu.app.vram_gb = 1e+300: a number, more than 0, at most 1000000",
        ],
    ),
    (
        "resources: {app: {memory_gb: 1e300, shm_gb: 1e300, cpus: 1e300}}",
        [
            "2: x-gpuhost.resources.app.cpus = 1e+300: a number, at least 0.01, at most 10000",
            "2: x-gpuhost.resources.app.memory_gb = 1e+300: a number, at least 0.01, at most 1000",
            "2: x-gpuhost.resources.app.shm_gb = 1e+300: a number, at least 0.001, at most 100000",
        ],
    ),
    # Zero bytes would mean no limit.
    (
        "resources: {app: {memory_gb: 1e-12}}",
        ["2: x-gpuhost.resources.app.memory_gb = 1e-12: a number, at least 0.01, at most 1000"],
    ),
    (
        "directories: {data: {mode: 0755}}",
        ['2: x-gpuhost.directories.data.mode = 755: octal digits in quotes, such as "0755"'],
    ),
    (
        "verify: {steps: [{command: {service: app, run: ls}}]}",
        ["2: x-gpuhost.verify.steps[0].command.run = 'ls': a list, each item text, at least one"],
    ),
    (
        "verify: {steps: [{command: {service: app, run: [5]}}]}",
        ["2: x-gpuhost.verify.steps[0].command.run[0] = 5: text, in quotes"],
    ),
    (
        "verify: {fatal: ['(']}",
        ["2: x-gpuhost.verify.fatal[0] = '(': a valid regular expression ("],
    ),
    (
        "nginx: {upstream: '127.0.0.1:3000; }', tls: {kind: filez}}",
        [
            "2: x-gpuhost.nginx.tls.kind = 'filez': one of files, self-signed, acme",
            "2: x-gpuhost.nginx.upstream = '127.0.0.1:3000; }': an address, such as",
        ],
    ),
    ("project: Tts", ["2: x-gpuhost.project = 'Tts': a project's name"]),
    ("source: {git: '--upload-pack=x'}", ["2: x-gpuhost.source.git = '--upload-pack=x': https:"]),
    (
        "source: {git: 'https://x/y', ref: '-x'}",
        ["2: x-gpuhost.source.ref = '-x': a branch, tag or commit"],
    ),
    (
        "source: {overlay: tts.overlay, edits: [{file: a, find: b, replace: c, reason: d}]}",
        ["2: x-gpuhost.source: give either git or directory"],
    ),
    ("source: {directory: ., overlay: ''}", ["2: x-gpuhost.source.overlay = '': text on one line"]),
    (
        "source:\n  directory: .\n  edits:\n"
        "  - {file: /etc/passwd, find: '', replace: 1, reason: ' '}\n"
        '  - {file: ../x, find: a, replace: c, reason: "a\\nb"}\n'
        "  - {file: a, find: b, replace: b, reason: c}\n"
        "  - {file: a, find: b, count: 2}\n"
        "  - {file: a, find: '${B}', replace: $B, reason: c}",
        [
            "5: x-gpuhost.source.edits[0].file = '/etc/passwd': a path relative to the source",
            "5: x-gpuhost.source.edits[0].find = '': text, not empty",
            "5: x-gpuhost.source.edits[0].reason = ' ': a sentence",
            "5: x-gpuhost.source.edits[0].replace = 1: text, in quotes",
            "6: x-gpuhost.source.edits[1].file = '../x': a path without ..",
            "6: x-gpuhost.source.edits[1].reason = 'a\\nb': a sentence",
            "7: x-gpuhost.source.edits[2]: find and replace are the same; remove the edit",
            "8: x-gpuhost.source.edits[3].count: unknown key; known: file, find, replace, reason",
            "8: x-gpuhost.source.edits[3].reason is missing: Why: the plan, the log and a failure",
            "8: x-gpuhost.source.edits[3].replace is missing: The new text",
            "9: x-gpuhost.source.edits[4].find: variables are not supported here: write the value",
            "9: x-gpuhost.source.edits[4].replace: variables are not supported here: write the va",
        ],
    ),
    ("backup: {every: daily}", ["2: x-gpuhost.backup: give sqlite, postgres or paths"]),
    ("backup: {paths: [../x]}", ["2: x-gpuhost.backup.paths[0] = '../x': leads out of the source"]),
    (
        "compose: [/etc/x.yml, ../c.yml]\nprofiles: ['']\none_shots: [app, y]",
        [
            "2: x-gpuhost.compose[0] = '/etc/x.yml': a path relative to the source",
            "2: x-gpuhost.compose[1] = '../c.yml': a path without ..",
            "3: x-gpuhost.profiles[0] = '': a profile's name",
            "4: x-gpuhost.one_shots[1] = 'y': no such service in the Compose file; known: app",
        ],
    ),
    ("compose: 5", ["2: x-gpuhost.compose = 5: a path relative to the source, or a list of paths"]),
    (
        "variables: {A-B: x, C: [s3cret], D: 1.10}",
        [
            "2: x-gpuhost.variables.A-B: the name must be a variable's name",
            "2: x-gpuhost.variables.C = a list: text",
            "2: x-gpuhost.variables.D = ***: text, in quotes",
        ],
    ),
    ("profiles: [gpus]", ["2: x-gpuhost.profiles[0] = 'gpus': no service has this profile: did"]),
    # Keys.
    (
        "nginx: {upstream: '127.0.0.1:3000', max-body: 50m}",
        ["2: x-gpuhost.nginx.max-body: unknown key: did you mean max_body?"],
    ),
    ("verfy: {}", ["2: x-gpuhost.verfy: unknown key: did you mean verify?"]),
    ("migrate: {}", ["2: x-gpuhost.migrate.service is missing: The service to run once, bef"]),
    ("resources: {app: {qqq: 1}}", ["2: x-gpuhost.resources.app.qqq: unknown key; known: mem"]),
    (
        "secrets: {A-B: {}}",
        ["2: x-gpuhost.secrets.A-B: the name must be a secret's name, such as API_KEY"],
    ),
    ("directories: {../x: {}}", ["2: x-gpuhost.directories.../x: leads out of the source"]),
    *(
        (
            f"directories: {{'{path}': {{mode: '0700'}}}}",
            [f"2: x-gpuhost.directories.{path}: {reason}"],
        )
        for path, reason in {
            "/": "/bin, which is the system's, is in it; name a directory of the app alone",
            "//etc": "/etc is the system's",
            "/etc/tts": "/etc is the system's",
            "/home": "/home is for all programs",
            "/opt/gpuhost/tts/releases": "/opt/gpuhost is gpuhost's own",
            "/opt/gpuhost/other/shared/data": "/opt/gpuhost is gpuhost's own",
            "/var/lib/docker/volumes/x": "/var/lib/docker is the container engine's",
            ".gpuhost-part": ".gpuhost-part: gpuhost gives such names to its own files",
        }.items()
    ),
    *(
        (
            f"{key}: {{{inner}: ['{path}']}}",
            [f"2: x-gpuhost.{key}.{inner}[0] = '{path}': {reason}"],
        )
        for key, inner, path, reason in (
            ("logs", "files", "/etc/*.log", "/etc is the system's"),
            ("logs", "files", "/var/log/*.log", "/var/log/apt, which is the system's, is in it"),
            ("logs", "files", "logs/*/*.log", "* is for the name of a file; give each directory"),
            ("logs", "files", "lo[gs]/a.log", "* is for the name of a file; give each directory"),
            ("logs", "files", "logs/", 'names no file; add it, such as "logs/*.log"'),
            ("logs", "files", "logs/.", 'names no file; add it, such as "logs/*.log"'),
            ("backup", "paths", "/opt", "/opt/cni, which is the container engine's, is in it"),
            ("backup", "sqlite", "/root/.ssh/x.db", "it is of a login, not of the app"),
        )
    ),
    (
        'verify: {steps: [{health: {url: "http://x/\\0"}}]}',
        ["2: x-gpuhost.verify.steps[0].health.url = 'http://x/\\x00': an address, http"],
    ),
    (
        'nginx: {upstream: "127.0.0.1:1", paths: {"/a\\0b": {}}}',
        ["2: x-gpuhost.nginx.paths.'/a\\x00b': the name must be a location, such as"],
    ),
    (
        "nginx: {where: container, service: proxy, config: /etc/cron.d/x, upstream: 'app:1'}",
        ["2: x-gpuhost.nginx.config = '/etc/cron.d/x': a path relative to the project directory"],
    ),
    (
        "secrets: {A: {path: /etc/passwd}}",
        ["2: x-gpuhost.secrets.A.path = ***: a path relative to the project directory"],
    ),
    ("secrets: {B: {path: ../x}}", ["2: x-gpuhost.secrets.B.path = ***: leads out of the source"]),
    # Unknown names.
    ("gpu: {ap: {}}", ["2: x-gpuhost.gpu.ap: no such service in the Compose file: did you mean"]),
    ("resources: {x: {}}", ["2: x-gpuhost.resources.x: no such service in the Compose file; kno"]),
    ("scale: {x: 1}", ["2: x-gpuhost.scale.x: no such service in the Compose file; known: a"]),
    ("migrate: {service: x}", ["2: x-gpuhost.migrate.service = 'x': no such service in the "]),
    (
        "gpu: {app: {}}\nwith_gpu: {leave_out: [x]}",
        ["3: x-gpuhost.with_gpu.leave_out[0] = 'x': no such service "],
    ),
    (
        "without_gpu: {environment: {x: {A: b}}}",
        ["2: x-gpuhost.without_gpu.environment.x: no such service in the Compose file"],
    ),
    (
        "gpu: {app: {}}\nwith_gpu: {profiles: [gpus]}",
        ["3: x-gpuhost.with_gpu.profiles[0] = 'gpus': no service has this profile: did you mean"],
    ),
    ("secrets: {A: {services: [x]}}", ["2: x-gpuhost.secrets.A.services[0] = ***: no such ser"]),
    (
        "backup: {postgres: [{service: x, database: d}]}",
        ["2: x-gpuhost.backup.postgres[0].service = 'x': no such service in the Compose file"],
    ),
    (
        "verify: {steps: [{log: {service: x, matches: a}}, {command: {service: y, run: [z]}}]}",
        [
            "2: x-gpuhost.verify.steps[0].log.service = 'x': no such service in the Compose file",
            "2: x-gpuhost.verify.steps[1].command.service = 'y': no such service in the Compo",
        ],
    ),
    ("public: ['x:1']", ["2: x-gpuhost.public[0] = 'x': no such service in the Compose file"]),
    (
        "nginx: {where: container, service: x, config: n/d.conf, upstream: 'y:1'}",
        [
            "2: x-gpuhost.nginx.service = 'x': no such service in the Compose file",
            "2: x-gpuhost.nginx.upstream = 'y:1': no such service in the Compose file",
        ],
    ),
    (
        "nginx: {upstream: 'app:3000', paths: {/a: {upstream: 'proxy:80'}}}",
        [
            "2: x-gpuhost.nginx.paths./a.upstream = 'proxy:80': the host's nginx cannot reach a ",
            "2: x-gpuhost.nginx.upstream = 'app:3000': the host's nginx cannot reach a service",
        ],
    ),
    (
        "build: {order: [app, proxy, x]}",
        [
            "2: x-gpuhost.build.order[1] = 'proxy': this service has no build; known: app",
            "2: x-gpuhost.build.order[2] = 'x': no such service in the Compose file",
        ],
    ),
    ("scale: {app: 2}", ["2: x-gpuhost.scale.app = 2: the service publishes a fixed port, which"]),
    # Keys without an effect.
    ("secrets: {A: {bytes: 16}}", ["2: x-gpuhost.secrets.A: bytes is for generate"]),
    (
        "secrets: {A: {generate: hex, min_length: 9}, B: {value: x, refuse: [y]}}",
        [
            "2: x-gpuhost.secrets.A: min_length and refuse are not for generate or value",
            "2: x-gpuhost.secrets.B: min_length and refuse are not for generate or value",
        ],
    ),
    (
        "nginx: {upstream: '127.0.0.1:1', tls: {kind: self-signed, key: K}}\nsecrets: {K: {}}",
        ["2: x-gpuhost.nginx.tls: certificate and key are for kind: files"],
    ),
    (
        "nginx: {upstream: '127.0.0.1:1', tls: {kind: self-signed, email: a@b.c}}",
        ["2: x-gpuhost.nginx.tls: email is for kind: acme"],
    ),
    ("with_gpu: {}", ["2: x-gpuhost.with_gpu: unused: no service is in x-gpuhost.gpu"]),
    ("gpu: {app: {count: 0}}\nwith_gpu: {}", ["2: x-gpuhost.gpu.app.count = 0: a whole number"]),
    # Undeclared secrets.
    (
        "source: {git: 'git@x:y', deploy_key: GIT_KEZ}\nsecrets: {GIT_KEY: {}}",
        ["2: x-gpuhost.source.deploy_key = ***: no such secret in x-gpuhost.secrets"],
    ),
    (
        "registries: {r.example.com: {user: me, password: P}}",
        ["2: x-gpuhost.registries.r.example.com.password = ***: no such secret in x-gpuhost.s"],
    ),
    (
        "nginx: {upstream: '127.0.0.1:1', tls: {kind: files, certificate: C, key: K}}\n"
        "secrets: {C: {}}",
        ["2: x-gpuhost.nginx.tls.key = ***: no such secret in x-gpuhost.secrets; known: C"],
    ),
    ("secrets: {A: {value: 'x${B}'}}", ["2: x-gpuhost.secrets.A.value: it uses an unknown sec"]),
    (
        "secrets: {A: {}, B: {value: '${A}'}, C: {value: '${B}'}}",
        ["2: x-gpuhost.secrets.C.value: it uses B, which is composed of secrets itself"],
    ),
    # Several problems at once; a problem in one part does not hide another.
    (
        "scale: {app: 0}\nsecrets: {A: {x: 1}}\nsource: {git: 'git@x:y', deploy_key: A}\n"
        "resources: {x: {}}",
        [
            "2: x-gpuhost.scale.app = 0: a whole number",
            "3: x-gpuhost.secrets.A.x: unknown key; known: env",
            "5: x-gpuhost.resources.x: no such service in the Compose file",
        ],
    ),
]


@pytest.mark.parametrize(("block", "said"), REFUSED, ids=[block[:50] for block, _ in REFUSED])
def test_refused(block: str, said: list[str], tmp_path: Path) -> None:
    assert_refused(tmp_path, block, said)


ALLOWED = [
    "scale: {worker: 3}",  # container_name is removed, and Docker chooses the port
    "without_gpu: {environment: {app: {A: 1, B: true, C: text}}}",
    "secrets: {A: {generate: hex, bytes: 16}, B: {min_length: 12, refuse: [changeme]}}",
    "verify: {steps: [{health: {url: 'http://x', expect: {json: {ok: true, n: 3}}}}]}",
    "directories: {data: {}, /srv/tts: {}, /home/me/tts: {}, /var/lib/tts: {}, /etcetera: {}}",
    "directories: {/opt/gpuhost/tts/shared/data: {}, /opt/tts: {}, /mnt/disk: {}, /data: {}}",
    "logs: {files: ['logs/*.log', 'logs/[a-c]?.txt', /srv/tts/logs/a.log, /var/log/tts/*]}",
    "backup: {paths: [., data, /root/tts, /var/www], sqlite: [/srv/tts/x.db]}",
    "public: ['app:3000']\nproject: other",
    "nginx: {where: container, service: proxy, config: n/d.conf, upstream: 'app:3000'}",
]


@pytest.mark.parametrize("block", ALLOWED)
def test_allowed(block: str, tmp_path: Path) -> None:
    assert app_of(tmp_path, block).name == "tts"


def test_numbers_and_booleans_are_text_in_an_environment(tmp_path: Path) -> None:
    app = app_of(tmp_path, "without_gpu: {environment: {app: {A: 1, B: true, C: 'no'}}}")
    assert app.block.without_gpu
    assert app.block.without_gpu.environment["app"] == {"A": "1", "B": "true", "C": "no"}
    assert problems(tmp_path, "without_gpu: {environment: {app: {A: 1.10}}}") == [
        "2: x-gpuhost.without_gpu.environment.app.A = ***: text, in quotes"
    ]


def test_a_secret_that_only_gpuhost_uses_is_internal(tmp_path: Path) -> None:
    app = app_of(
        tmp_path,
        "source: {git: 'git@x:y', deploy_key: K}\nregistries: {r: {user: me, password: P}}\n"
        "secrets: {K: {}, P: {services: [app]}, A: {}}",
    )
    assert {name: secret.internal for name, secret in app.block.secrets.items()} == {
        "K": True,
        "P": False,
        "A": False,
    }
