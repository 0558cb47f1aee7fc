//go:build linux

package deploy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// checkMemory looks whether the process may take what it is promised not to go beyond: twice --max-memory, and 64 MiB. It sets Go's
// memory limit by --max-memory itself.
func checkMemory(t *testing.T, args, env []string, limit string) {
	t.Helper()
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "GOMEMLIMIT=") }) {
		t.Error("GOMEMLIMIT goes before the limit that follows from --max-memory")
	}
	l, err := resource.ParseQuantity(limit)
	if err != nil {
		t.Fatalf("the limit %q: %v", limit, err)
	}
	for _, arg := range args {
		value, ok := strings.CutPrefix(arg, "--max-memory=")
		if !ok {
			continue
		}
		m, err := resource.ParseQuantity(strings.TrimSuffix(value, "B") + "i") // its units are powers of 1024
		if err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
		if l.Value() < 2*m.Value()+64<<20 {
			t.Errorf("%s under a limit of %s", arg, limit)
		}
		return
	}
	t.Errorf("no --max-memory: %v", args)
}

// planOf reads from a pod how its container "huddle" runs, if it has one.
func planOf(t *testing.T, m *manifest) *plan {
	t.Helper()
	i := slices.IndexFunc(m.containers(), func(c corev1.Container) bool { return c.Name == "huddle" })
	if i < 0 {
		return nil
	}
	c, spec := m.containers()[i], m.template.Spec
	p := &plan{
		args: c.Args, files: map[string]string{},
		uid: int(*spec.SecurityContext.RunAsUser), gid: int(*spec.SecurityContext.RunAsGroup),
		grace: time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second,
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			p.env = append(p.env, e.Name+"="+e.Value)
		}
	}
	for _, other := range m.containers() { // what is slept before SIGTERM is taken from the time
		if l := other.Lifecycle; l != nil && l.PreStop != nil {
			p.grace -= time.Duration(l.PreStop.Sleep.Seconds) * time.Second
		}
	}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		port, _ := m.port(probe.HTTPGet.Port.StrVal)
		text := fmt.Sprintf("%d%s", port.ContainerPort, probe.HTTPGet.Path)
		if probe == c.ReadinessProbe {
			p.ready = text
		} else if p.live = text; !strings.HasSuffix(text, "/healthz") {
			t.Errorf("%s: a pod without a majority must not be started anew", text)
		}
	}
	for _, arg := range c.Args {
		flag, value, _ := strings.Cut(arg, "=")
		switch flag {
		case "--key-file":
			p.files[value] = "key"
		case "--resp-password-file":
			p.files[value], p.password = "password", true
		case "--resp":
			_, p.redis, _ = strings.Cut(value, ":")
		}
	}
	checkMemory(t, p.args, p.env, c.Resources.Limits.Memory().String())
	for path := range p.files {
		if !slices.ContainsFunc(c.VolumeMounts, func(v corev1.VolumeMount) bool { return filepath.Dir(path) == v.MountPath && v.SubPath == "" }) {
			t.Errorf("nothing is mounted at %s", path)
		}
	}
	return p
}

// The command lines of the manifests, run.
func TestKubernetesNodes(t *testing.T) {
	ran := 0
	for i, m := range manifests(t) {
		p := planOf(t, &m)
		if p == nil {
			continue
		}
		ran++
		p.subnet = 1 + i
		t.Run(filepath.Base(m.file), func(t *testing.T) {
			t.Parallel()
			p.run(t)
		})
	}
	if ran != 2 {
		t.Errorf("%d manifests run a node, want two", ran)
	}
}

// compose is what compose.yaml says; another field than these fails the test.
type compose struct {
	Name     string `json:"name"`
	Services map[string]struct {
		Image string `json:"image"`
		Build struct {
			Context    string `json:"context"`
			Dockerfile string `json:"dockerfile"`
		} `json:"build"`
		Command     []string          `json:"command"`
		Environment map[string]string `json:"environment"`
		Volumes     []string          `json:"volumes"`
		Deploy      struct {
			Replicas  int `json:"replicas"`
			Resources struct {
				Limits struct {
					Memory string `json:"memory"`
				} `json:"limits"`
			} `json:"resources"`
		} `json:"deploy"`
		ReadOnly        bool     `json:"read_only"`
		CapDrop         []string `json:"cap_drop"`
		SecurityOpt     []string `json:"security_opt"`
		Restart         string   `json:"restart"`
		StopGracePeriod string   `json:"stop_grace_period"`
		Healthcheck     struct {
			Test        []string `json:"test"`
			Interval    string   `json:"interval"`
			Timeout     string   `json:"timeout"`
			Retries     int      `json:"retries"`
			StartPeriod string   `json:"start_period"`
		} `json:"healthcheck"`
	} `json:"services"`
}

func TestCompose(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("docker/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		t.Fatal(err)
	}
	s, ok := c.Services["huddle"]
	if !ok || len(c.Services) != 1 || s.Deploy.Replicas != 3 {
		t.Fatalf("services %v", c.Services)
	}
	if _, err := os.Stat(filepath.Join("docker", s.Build.Context, s.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Error("more is allowed than needed")
	}
	uid, gid, _ := strings.Cut(instruction(t, "USER"), ":")
	p := &plan{subnet: 10, named: true, args: s.Command, files: map[string]string{}, live: "7480/healthz", ready: "7480/readyz", redis: "7379", password: true}
	if p.uid, err = strconv.Atoi(uid); err != nil {
		t.Fatal(err)
	}
	if p.gid, err = strconv.Atoi(gid); err != nil {
		t.Fatal(err)
	}
	if p.grace, err = time.ParseDuration(s.StopGracePeriod); err != nil {
		t.Fatal(err)
	}
	for name, value := range s.Environment {
		p.env = append(p.env, name+"="+value)
	}
	for _, arg := range s.Command {
		switch flag, value, _ := strings.Cut(arg, "="); flag {
		case "--key-file":
			p.files[value] = "key"
		case "--resp-password-file":
			p.files[value] = "password"
		}
	}
	for path := range p.files { // in a folder that is mounted whole: a file by itself would stay the old one when it is replaced
		if !slices.Contains(s.Volumes, "./secrets:"+filepath.Dir(path)+":ro") {
			t.Errorf("the folder of %s is not mounted: %v", path, s.Volumes)
		}
	}
	checkMemory(t, p.args, p.env, s.Deploy.Resources.Limits.Memory+"i")
	if test := s.Healthcheck.Test; len(test) < 2 || test[0] != "CMD" || `["`+test[1]+`"]` != instruction(t, "ENTRYPOINT") {
		t.Errorf("health check %v", test)
	} else {
		p.status = test[2:]
	}
	p.run(t)
}

// unit returns the settings of the unit's [Service], by name, each time it is set.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("systemd/huddle.service")
	if err != nil {
		t.Fatal(err)
	}
	out, section := map[string][]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		case !ok:
			t.Errorf("what is %q?", line)
		case section == "[Service]":
			out[name] = append(out[name], value)
		}
	}
	return out
}

// The unit's command line and environment, run.
func TestSystemdNodes(t *testing.T) {
	t.Parallel()
	u := unit(t)
	args := strings.Fields(u["ExecStart"][0])[1:]
	const credentials = "/run/credentials/huddle.service" // where systemd puts them
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "${CREDENTIALS_DIRECTORY}", credentials)
	}
	name, from, _ := strings.Cut(u["LoadCredential"][0], ":")
	if filepath.Dir(from) != filepath.Dir(u["EnvironmentFile"][0]) {
		t.Errorf("the key is at %s, the environment at %s", from, u["EnvironmentFile"][0])
	}
	p := &plan{
		subnet: 20, named: true, files: map[string]string{credentials + "/" + name: "key"}, uid: 61184, gid: 61184, // of those for DynamicUser
		env: u["Environment"], live: "7480/healthz", ready: "7480/readyz", redis: "7379", status: []string{"status"},
	}
	seconds, err := strconv.Atoi(u["TimeoutStopSec"][0])
	if err != nil {
		t.Fatal(err)
	}
	p.grace = time.Duration(seconds) * time.Second
	data, err := os.ReadFile("systemd/huddle.env")
	if err != nil {
		t.Fatal(err)
	}
	// The environment's lines as flags, which they stand for, so that the addresses can be put in; and the defaults that
	// all nodes of a machine would share.
	p.args = append(args, "--resp=127.0.0.1:7379", "--admin=127.0.0.1:7480")
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		flag := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "HUDDLE_")), "_", "-")
		p.args = append(p.args, "--"+flag+"="+strings.Replace(value, "10.0.0.5:", "$(POD_IP):", 1))
	}
	checkMemory(t, p.args, p.env, u["MemoryMax"][0]+"i")
	p.run(t)
}

func TestSystemdUnit(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: install systemd")
	}
	data, err := os.ReadFile("systemd/huddle.service")
	if err != nil {
		t.Fatal(err)
	}
	// The program need not be installed here to be looked for.
	file := filepath.Join(t.TempDir(), "huddle.service")
	data = bytes.ReplaceAll(data, []byte("/usr/local/bin/huddle"), []byte(build(t)))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 100 is a service that may do everything.
	if out, err := exec.Command(program, "security", "--offline=true", "--no-pager", "--threshold=20", file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
