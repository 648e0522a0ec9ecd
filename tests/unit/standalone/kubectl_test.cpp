// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// Drives an unmodified kubectl against the endpoint. PINTLE_KUBECTL names another binary than the one on PATH.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "endpoint_fixture.h"

namespace pintle::standalone {
namespace {

struct Output {
  int code = -1;
  std::string text;  // standard output and error together
};

Output run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  Output output;
  std::array<char, 4096> block{};
  while (const size_t got = std::fread(block.data(), 1, block.size(), pipe)) output.text.append(block.data(), got);
  const int status = ::pclose(pipe);
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

std::string kubectl_binary() {
  const char* named = std::getenv("PINTLE_KUBECTL");
  return named != nullptr ? named : "kubectl";
}

struct Kubectl {
  EndpointFixture f;
  Kubectl() {
    if (run("command -v " + kubectl_binary()).code != 0) SKIP("kubectl is not installed");
    fakes::write_text(f.dir / "web.yaml",
                      "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n  containers:\n"
                      "  - {name: c, image: 'busybox:1.36', env: [{name: A, value: '1'}]}\n  - {name: d, image: busybox}\n"
                      "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: b}\n");
  }
  Output operator()(const std::string& arguments) {
    return run("timeout 60 env HOME=" + f.dir.path() + " KUBECONFIG=" + f.endpoint->kubeconfig_path() + " " + kubectl_binary() + " " +
               arguments);
  }
  std::string ok(const std::string& arguments) {
    const auto output = (*this)(arguments);
    INFO(arguments << ": " << output.text);
    CHECK(output.code == 0);
    return output.text;
  }
  std::string refused(const std::string& arguments) {
    const auto output = (*this)(arguments);
    INFO(arguments << ": " << output.text);
    CHECK(output.code != 0);
    return output.text;
  }
  std::string apply() { return ok("apply -f " + (f.dir / "web.yaml")); }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("kubectl applies, shows and changes objects") {
  Kubectl kubectl;
  CHECK(has(kubectl.apply(), "pod/web created"));
  CHECK(has(kubectl.apply(), "pod/web unchanged"));
  const std::string changed = kubectl.f.dir / "changed.yaml";
  fakes::write_text(changed,
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n  containers:\n"
                    "  - {name: c, image: 'busybox:1.37', env: [{name: A, value: '1'}]}\n  - {name: d, image: busybox}\n");
  CHECK(has(kubectl.ok("apply -f " + changed), "pod/web configured"));
  CHECK(kubectl.ok("get pod web -o jsonpath='{.spec.containers[*].image}'") == "busybox:1.37 busybox");
  const auto wide = kubectl.ok("get pods -o wide");
  CHECK((has(wide, "NOMINATED NODE") && has(wide, "0/2") && has(wide, "Pending") && has(wide, "n1")));
  CHECK(kubectl.ok("get pods -o name") == "pod/web\n");
  CHECK(has(kubectl.ok("get pod web -o yaml"), "nodeName: n1"));
  CHECK(has(kubectl.ok("get pods -l app=web --no-headers"), "web"));
  CHECK(has(kubectl.ok("get pods -A --field-selector status.phase=Running"), "No resources found"));
  kubectl.ok("label pod web tier=front");
  kubectl.ok("annotate pod web note=hi");
  CHECK(kubectl.ok("get pod web -o jsonpath='{.metadata.labels.tier}{.metadata.annotations.note}'") == "fronthi");
  kubectl.ok("label pod web tier-");
  kubectl.ok("patch pod web -p '{\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":\"x:2\"}]}}'");
  kubectl.ok("patch pod web --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/containers/0/image\",\"value\":\"x:3\"}]'");
  kubectl.ok("patch pod web --type=merge -p '{\"metadata\":{\"labels\":{\"x\":\"y\"}}}'");
  CHECK(kubectl.ok("get pod web -o jsonpath='{.spec.containers[*].image}'") == "x:3 x:2");
  CHECK(has(kubectl.refused("patch pod web -p '{\"spec\":{\"restartPolicy\":\"Never\"}}'"), "spec/restartPolicy"));
  CHECK(has(kubectl.ok("describe pod web"), "Events:"));
  CHECK(has(kubectl.ok("wait --for=condition=PodScheduled pod/web --timeout=20s"), "condition met"));
  CHECK(has(kubectl.refused("apply --server-side -f " + changed), "erver-side apply"));
}

TEST_CASE("kubectl makes config objects and namespaces") {
  Kubectl kubectl;
  kubectl.ok("create configmap one --from-literal=a=1");
  CHECK(has(kubectl.refused("create configmap one --from-literal=a=1"), "already exists"));
  kubectl.ok("create secret generic s --from-literal=p=q");
  CHECK(kubectl.ok("get secret s -o jsonpath='{.data.p}'") == "cQ==");
  kubectl.ok("create namespace other");
  kubectl.ok("-n other create configmap two");
  kubectl.ok("-n other create serviceaccount me");
  kubectl.ok("delete namespace other");
  CHECK_FALSE(has(kubectl.ok("get namespaces"), "other"));
  CHECK(has(kubectl.ok("api-resources"), "leases"));
  kubectl.ok("version");
}

TEST_CASE("kubectl is told what is wrong with a manifest") {
  Kubectl kubectl;
  const std::string bad = kubectl.f.dir / "bad.yaml";
  fakes::write_text(bad, "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\nspec:\n  containers:\n  - {name: X_, image: busybox}\n");
  const auto why = kubectl.refused("apply -f " + bad);
  INFO(why);
  CHECK(has(why, "spec.containers[0].name"));
  CHECK(has(kubectl.refused("logs nope"), "not found"));
}

TEST_CASE("kubectl deletes at once or by grace, and waits for the end") {
  Kubectl kubectl;
  kubectl.apply();
  CHECK(has(kubectl.ok("delete pod web --wait=false"), "deleted"));
  CHECK(has(kubectl.ok("get pods"), "Terminating"));
  CHECK(has(kubectl.ok("delete pod web --force --grace-period=0"), "deleted"));
  CHECK(has(kubectl.ok("get pods"), "No resources found"));
  kubectl.apply();
  // kubectl waits until the pod is gone; the agent's part is played here once the pod is marked.
  Output waited;
  std::jthread waiting([&] { waited = kubectl("delete pod web"); });
  while (kubectl("get pod web -o jsonpath='{.metadata.deletionTimestamp}'").text.empty()) {}
  kubectl.ok("delete pod web --force --grace-period=0");
  waiting.join();
  INFO(waited.text);
  CHECK(waited.code == 0);
  kubectl.ok("delete configmap --all");
}

TEST_CASE("kubectl watches and reads logs") {
  Kubectl kubectl;
  kubectl.f.logs.logs = {{"c/1", "one\ntwo\n"}, {"c/0", "before\n"}, {"d/0", "other\n"}};
  kubectl.apply();
  CHECK(has(kubectl.refused("logs web -c c"), "is waiting to start: ContainerCreating"));
  const std::string status = kubectl.f.dir / "status.json";
  fakes::write_text(status, R"({"status":{"phase":"Running","containerStatuses":[
    {"name":"c","image":"x","imageID":"","ready":true,"restartCount":1,"state":{"running":{"startedAt":"2026-01-02T12:00:00Z"}},
     "lastState":{"terminated":{"exitCode":1,"containerID":"containerd://x","startedAt":"2026-01-02T12:00:00Z","finishedAt":"2026-01-02T12:00:00Z"}}},
    {"name":"d","image":"x","imageID":"","ready":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-02T12:00:00Z"}},"lastState":{}}]}})");
  const std::string patch = "sed -n 's/^.*token: //p' " + kubectl.f.endpoint->kubeconfig_path();
  const auto patched = run("curl -sS --cacert " + (kubectl.f.dir / "api/ca.crt") + " -H \"Authorization: Bearer $(" + patch +
                           ")\" -H 'Content-Type: application/merge-patch+json' -X PATCH --data @" + status + " " +
                           kubectl.f.endpoint->url() + "/api/v1/namespaces/default/pods/web/status");
  if (patched.code == 127) SKIP("curl is not installed");
  REQUIRE(patched.code == 0);
  CHECK(has(kubectl.ok("get pods"), "2/2"));
  CHECK(kubectl.ok("logs web -c c") == "one\ntwo\n");
  CHECK(kubectl.ok("logs web -c c --tail=1") == "two\n");
  CHECK(kubectl.ok("logs web -c c --previous") == "before\n");
  const auto all = kubectl.ok("logs web --all-containers");  // in no fixed order
  CHECK((has(all, "one\ntwo\n") && has(all, "other\n")));
  const auto watched = run("timeout 5 env HOME=" + kubectl.f.dir.path() + " KUBECONFIG=" + kubectl.f.endpoint->kubeconfig_path() + " " +
                           kubectl_binary() + " get pods -w --request-timeout=2s");
  CHECK((has(watched.text, "STATUS") && has(watched.text, "Running")));
  const auto followed = run("timeout 5 env HOME=" + kubectl.f.dir.path() + " KUBECONFIG=" + kubectl.f.endpoint->kubeconfig_path() + " " +
                            kubectl_binary() + " logs -f web -c c");
  CHECK(followed.text == "one\ntwo\nfollowed\n");
}

TEST_CASE("kubectl applies network policies, services and endpoint slices") {
  Kubectl kubectl;
  const std::string file = kubectl.f.dir / "net.yaml";
  const std::string manifest =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {matchLabels: {app: web}}}\n"
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.7, selector: {app: web}, ports: [{port: 80}]}\n"
      "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n"
      "addressType: IPv4\nports: [{port: 80}]\nendpoints: [{addresses: [10.1.0.1]}]\n";
  fakes::write_text(file, manifest);
  const auto made = kubectl.ok("apply -f " + file);
  CHECK(has(made, "networkpolicy.networking.k8s.io/deny created"));
  CHECK(has(made, "service/web created"));
  CHECK(has(made, "endpointslice.discovery.k8s.io/web-1 created"));
  CHECK(has(kubectl.ok("apply -f " + file), "networkpolicy.networking.k8s.io/deny unchanged"));
  CHECK(has(kubectl.ok("get netpol"), "app=web"));
  CHECK(kubectl.ok("get netpol deny -o jsonpath='{.spec.policyTypes[0]}'") == "Ingress");
  CHECK(has(kubectl.ok("get svc"), "10.96.0.7"));
  CHECK(has(kubectl.ok("get endpointslices"), "10.1.0.1"));
  const std::string changed = kubectl.f.dir / "changed.yaml";
  fakes::write_text(
      changed,
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {matchLabels: {app: web}}, "
      "ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}\n");
  CHECK(has(kubectl.ok("apply -f " + changed), "deny configured"));
  CHECK(kubectl.ok("get netpol deny -o jsonpath='{.spec.ingress[0].ports[0].port}'") == "80");
  const std::string bad = kubectl.f.dir / "bad.yaml";
  fakes::write_text(
      bad,
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad}\nspec: {podSelector: {}, ingress: [{from: [{ipBlock: "
      "{cidr: 10.0.0.0/99}}]}]}\n");
  CHECK(has(kubectl.refused("apply -f " + bad), "10.0.0.0/99"));
  CHECK(has(kubectl.ok("delete netpol deny"), "deleted"));
}

}  // namespace pintle::standalone
