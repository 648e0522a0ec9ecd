# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Values of the Helm chart: variations, with what must come of each, and mistakes, with the field that the schema must name."""


def volumes(spec):
    """Names of the volumes that the agent's container has; each must be one of the pod's."""
    mounts = [mount["name"] for mount in spec["containers"][0]["volumeMounts"]]
    assert sorted(mounts) == sorted(volume["name"] for volume in spec["volumes"]), (mounts, spec["volumes"])
    return mounts


def said(*lines):
    """Holds where the daemon's configuration, as the daemon prints it, has all of these."""
    return lambda spec, told: all(line in told for line in lines)


def nri_is_off(spec, told):
    return "nri" not in volumes(spec) and 'mode: "off"' in told


def exports(spec, told):
    names = [entry["name"] for entry in spec["containers"][0]["env"]]
    return names == ["NODE_NAME", "OTEL_EXPORTER_OTLP_HEADERS"] and said("collector.telemetry:4318", "json: stdout", "logLevel: debug")(spec, told)


def has_a_set(spec, told):
    return ("sets" in volumes(spec) and spec["nodeSelector"]["pool"] == "canary" and
            said("programSet: 2026-11", "setsFolder: /sets")(spec, told))


def is_placed(spec, told):
    return ("priorityClassName" not in spec and "tolerations" not in spec and spec["imagePullSecrets"] == [{"name": "registry"}] and
            "SYS_RESOURCE" in spec["containers"][0]["securityContext"]["capabilities"]["add"])


def listens(spec, told):
    return spec["containers"][0]["ports"] == [{"name": "metrics", "containerPort": 9999}] and "0.0.0.0:9999" in told


def nri(**options):
    return {"config": {"companion": {"nri": options}}}


def ebpf(**options):
    return {"config": {"ebpf": options}}


HEADERS = {"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": {"secretKeyRef": {"name": "collector", "key": "headers"}}}
VARIATIONS = (  # title, values, what holds of the DaemonSet's pod and the daemon's configuration
    ("as it is", {}, lambda spec, told: "nri" in volumes(spec) and said("mode: auto", 'programsNamespace: ""', "policy: best-effort")(spec, told)),
    ("no bpffs made", {"mountBpffs": False}, lambda spec, told: "initContainers" not in spec),
    ("NRI off", nri(mode="off"), nri_is_off),
    ("NRI off as YAML reads it", nri(mode=False), nri_is_off),
    ("NRI required", nri(mode="required", failClosed=False, timeout="900ms"),
     lambda spec, told: "nri" in volumes(spec) and said("mode: required", "failClosed: false", "timeout: 900ms")(spec, told)),
    ("no word of NRI", {"config": {"companion": None}}, lambda spec, told: "nri" in volumes(spec) and "mode: auto" in told),
    ("no word of programs", {"programs": None}, said('programsNamespace: ""')),
    ("policies", ebpf(policy="required", networkPolicy="audit", networkPolicyFailure="closed", trace=["connect", "tcp"],
                      denyDevices=["c 10:229 rw"], sysctlWrites="deny", denySockopts=["SOL_SOCKET:SO_MARK"]),
     said("policy: required", "networkPolicy: audit", "networkPolicyFailure: closed", "sysctlWrites: deny", "c 10:229 rw", "1:36", "- tcp")),
    ("all off, bare", ebpf(policy=False, networkPolicy=False, trace=[]), said('policy: "off"', 'networkPolicy: "off"')),
    ("export", {"config": {"otlp": {"endpoint": "http://collector.telemetry:4318", "interval": "30s", "signals": ["metrics"],
                                    "metrics": {"compression": "gzip", "giveUpAfter": "1m"}},
                           "events": {"json": "stdout"}, "logLevel": "debug"}, "env": [HEADERS]}, exports),
    ("a program set", {**ebpf(programSet="2026-11", setsFolder="/sets"), "nodeSelector": {"pool": "canary"},
                       "volumes": [{"name": "sets", "hostPath": {"path": "/opt/sets"}}],
                       "volumeMounts": [{"name": "sets", "mountPath": "/sets", "readOnly": True}]}, has_a_set),
    ("placement", {"imagePullSecrets": [{"name": "registry"}], "priorityClassName": "", "nodeSelector": None, "tolerations": None,
                   "resources": None, "maxUnavailable": 1, "capabilities": ["BPF", "PERFMON", "NET_ADMIN", "SYS_RESOURCE"]}, is_placed),
    ("another port", {"metrics": {"port": 9999, "scrapeAnnotations": False}}, listens),
)
REFUSED = (  # --set, what the message must name
    ("config.ebpf.policy=maybe", "/config/ebpf/policy"), ("config.ebpf.trace={exec}", "/config/ebpf/trace"),
    ("config.ebpf.programSet=-x", "/config/ebpf/programSet"), ("config.ebpf.bpffs=/x", "bpffs"), ("config.mode=node", "mode"),
    ("config.companion.nri.mode=on", "/config/companion/nri/mode"), ("config.companion.nri.timeout=2s", "/config/companion/nri/timeout"),
    ("config.companion.nri.socket=/x", "socket"), ("config.events.json=here", "/config/events/json"),
    ("config.otlp.endpoint=collector", "/config/otlp/endpoint"), ("config.otlp.sampling=2", "/config/otlp/sampling"),
    ("config.otlp.logs.batch.size=0", "/config/otlp/logs/batch/size"), ("config.otlp.metrics.batch.size=1", "/config/otlp/metrics"),
    ("config.otlp.tls.keyFile=/k", "/config/otlp/tls"), ("config=null", "config"), ("metrics.port=0", "/metrics/port"),
    ("metrics.port=80", "/metrics/port"), ("metrics.port=many", "/metrics/port"), ("nothing=1", "nothing"),
    ("programs.configMaps=maybe", "/programs/configMaps"), ("image.repository=", "/image/repository"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy"), ("image.tag=7", "/image/tag"), ("imagePullSecrets[0].nam=x", "/imagePullSecrets"),
    ("maxUnavailable=0", "/maxUnavailable"), ("maxUnavailable=ten", "/maxUnavailable"), ("capabilities={cap_bpf}", "/capabilities"),
    ("capabilities=BPF", "/capabilities"), ("uninstall=perhaps", "/uninstall"), ("mountBpffs=1", "/mountBpffs"),
    ("env[0].name=NODE_NAME", "/env"), ("volumeMounts[0].name=x", "/volumeMounts"),
)
