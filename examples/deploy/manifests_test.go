package deploy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// manifest is what one file holds: one workload, and what belongs to it.
type manifest struct {
	file     string
	services []corev1.Service
	template corev1.PodTemplateSpec
	selector *metav1.LabelSelector
	replicas int32
	stateful *appsv1.StatefulSet // nil: a Deployment
	budgets  []policyv1.PodDisruptionBudget
	policies []networkingv1.NetworkPolicy
}

func manifests(t *testing.T) (out []manifest) {
	t.Helper()
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, error %v", files, err)
	}
	for _, file := range files {
		out = append(out, readManifest(t, file))
	}
	return out
}

// readManifest reads a file as the server of Kubernetes does with strict field validation: an unknown or repeated field fails.
func readManifest(t *testing.T, file string) manifest {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := manifest{file: file}
	for i, doc := range bytes.Split(data, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatalf("%s, document %d: %v", file, i, err)
		}
		read := func(apiVersion string, into any) {
			t.Helper()
			if kind.APIVersion != apiVersion {
				t.Errorf("%s: %s of %s, want %s", file, kind.Kind, kind.APIVersion, apiVersion)
			}
			if err := yaml.UnmarshalStrict(doc, into); err != nil {
				t.Fatalf("%s, %s: %v", file, kind.Kind, err)
			}
		}
		switch kind.Kind {
		case "Service":
			var s corev1.Service
			read("v1", &s)
			m.services = append(m.services, s)
		case "Deployment":
			var d appsv1.Deployment
			read("apps/v1", &d)
			m.template, m.selector, m.replicas = d.Spec.Template, d.Spec.Selector, *d.Spec.Replicas
		case "StatefulSet":
			var s appsv1.StatefulSet
			read("apps/v1", &s)
			m.template, m.selector, m.replicas, m.stateful = s.Spec.Template, s.Spec.Selector, *s.Spec.Replicas, &s
		case "PodDisruptionBudget":
			var b policyv1.PodDisruptionBudget
			read("policy/v1", &b)
			m.budgets = append(m.budgets, b)
		case "NetworkPolicy":
			var p networkingv1.NetworkPolicy
			read("networking.k8s.io/v1", &p)
			m.policies = append(m.policies, p)
		default:
			t.Fatalf("%s: what is a %s?", file, kind.Kind)
		}
	}
	return m
}

// containers returns all containers of the workload, sidecars among them.
func (m *manifest) containers() []corev1.Container {
	return slices.Concat(m.template.Spec.InitContainers, m.template.Spec.Containers)
}

// port returns the container's port of a name, over all containers.
func (m *manifest) port(name string) (corev1.ContainerPort, bool) {
	for _, c := range m.containers() {
		for _, p := range c.Ports {
			if p.Name == name {
				return p, true
			}
		}
	}
	return corev1.ContainerPort{}, false
}

func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func TestManifests(t *testing.T) {
	for _, m := range manifests(t) {
		t.Run(filepath.Base(m.file), func(t *testing.T) {
			labels := m.template.Labels
			if m.selector == nil || !matches(m.selector.MatchLabels, labels) {
				t.Errorf("the workload does not select its own pods: %v, %v", m.selector, labels)
			}
			if m.replicas < 3 {
				t.Errorf("%d replicas; after the loss of one of two, the other is no majority", m.replicas)
			}
			checkServices(t, &m)
			if len(m.budgets) != 1 || !matches(m.budgets[0].Spec.Selector.MatchLabels, labels) || m.budgets[0].Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("disruption budget %+v", m.budgets)
			}
			checkPolicy(t, &m)
			checkPod(t, &m)
		})
	}
}

func checkServices(t *testing.T, m *manifest) {
	headless := 0
	for _, s := range m.services {
		if !matches(s.Spec.Selector, m.template.Labels) {
			t.Errorf("service %s selects no pod", s.Name)
		}
		for _, p := range s.Spec.Ports {
			at, ok := m.port(p.TargetPort.StrVal)
			if !ok || at.Protocol != p.Protocol {
				t.Errorf("service %s: no port %s by %s in the pods", s.Name, p.TargetPort.String(), p.Protocol)
			}
		}
		if s.Spec.ClusterIP == corev1.ClusterIPNone {
			headless++
			if !s.Spec.PublishNotReadyAddresses {
				t.Errorf("service %s: nodes that are not ready yet would not find each other", s.Name)
			}
			if !slices.ContainsFunc(m.containers(), func(c corev1.Container) bool {
				return strings.Contains(fmt.Sprint(c.Args, c.Env), "dns:"+s.Name+":7400")
			}) {
				t.Errorf("nobody joins by the name of the service %s", s.Name)
			}
		}
	}
	if headless != 1 {
		t.Errorf("%d headless services, want one", headless)
	}
	if m.stateful != nil {
		if !slices.ContainsFunc(m.services, func(s corev1.Service) bool { return s.Name == m.stateful.Spec.ServiceName }) {
			t.Errorf("no service %s", m.stateful.Spec.ServiceName)
		}
		if m.stateful.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
			t.Error("the first pod would wait for others that start only after it is ready")
		}
	}
}

// checkPolicy looks whether everything that is listened on for others, and nothing else, is let in.
func checkPolicy(t *testing.T, m *manifest) {
	if len(m.policies) != 1 || !matches(m.policies[0].Spec.PodSelector.MatchLabels, m.template.Labels) {
		t.Fatalf("network policies %+v", m.policies)
	}
	open := map[string]bool{}
	for _, rule := range m.policies[0].Spec.Ingress {
		for _, p := range rule.Ports {
			at, ok := m.port(p.Port.StrVal)
			if p.Port.Type != intstr.String || !ok || at.Protocol != *p.Protocol {
				t.Errorf("the policy lets in %v by %v, which no container has", p.Port, *p.Protocol)
			}
			if at.ContainerPort == 7400 && at.Protocol != corev1.ProtocolTCP {
				t.Errorf("%s by %s: with a key the nodes speak TCP only", at.Name, at.Protocol)
			}
			open[at.Name] = true
			if at.Name == "peers" && (len(rule.From) != 1 || rule.From[0].PodSelector == nil ||
				!matches(rule.From[0].PodSelector.MatchLabels, m.template.Labels)) {
				t.Errorf("%s is open to others than the nodes", at.Name)
			}
		}
	}
	for _, c := range m.containers() {
		for _, p := range c.Ports {
			if !open[p.Name] {
				t.Errorf("the policy closes %s", p.Name)
			}
		}
	}
}

func checkPod(t *testing.T, m *manifest) {
	spec := m.template.Spec
	if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0 || s.FSGroup == nil {
		t.Errorf("security context %+v", s)
	}
	if *spec.TerminationGracePeriodSeconds < 5+25+2 { // preStop, the hand-over, the rest
		t.Errorf("%d s are too short to leave", *spec.TerminationGracePeriodSeconds)
	}
	names := map[string]bool{}
	for _, c := range m.containers() {
		if s := c.SecurityContext; s == nil || *s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
			t.Errorf("%s: security context %+v", c.Name, s)
		}
		if strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
			t.Errorf("%s: image %s has no version", c.Name, c.Image)
		}
		for _, p := range c.Ports {
			if names[p.Name] || len(p.Name) > 15 {
				t.Errorf("port name %s is there twice or too long", p.Name)
			}
			names[p.Name] = true
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe == nil {
				continue
			}
			if !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == probe.HTTPGet.Port.StrVal }) {
				t.Errorf("%s: a probe asks port %s, which it has not", c.Name, probe.HTTPGet.Port.String())
			}
		}
		for _, mount := range c.VolumeMounts {
			if !slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
				return v.Name == mount.Name && v.Secret != nil && v.Secret.SecretName == "huddle-key" && *v.Secret.DefaultMode == 0o440
			}) {
				t.Errorf("%s mounts %s, which is not the secret with the key", c.Name, mount.Name)
			}
		}
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf("%s is no sidecar: the service would wait for its end", c.Name)
		}
	}
}
