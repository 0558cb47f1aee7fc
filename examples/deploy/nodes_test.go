//go:build linux

package deploy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plan is how a manifest runs a node.
type plan struct {
	subnet   int      // the nodes get 127.77.subnet.1 and so on, each its own address with the manifest's ports
	args     []string // with $(POD_NAME) and $(POD_IP)
	named    bool     // by the host's name, which differs from node to node but for here: they get $(POD_NAME)
	env      []string
	files    map[string]string // what is mounted, by its path: the key's or the password's
	uid, gid int
	live     string // port and path: "7480/healthz"
	ready    string
	grace    time.Duration // from SIGTERM to the end
	redis    string        // port
	password bool
	status   []string // the command that tells of the node's health; nil: none
}

const password = "a password of this test"

// machine is one node and its place: as root, a folder that is all it sees, and a user that may write nothing there.
type machine struct {
	*plan
	name, ip string
	root     string
	args     []string
	cmd      *exec.Cmd
	log      bytes.Buffer
	done     chan error
}

// run runs three nodes by the plan: until they are ready, through a rolling restart, to the end.
func (p *plan) run(t *testing.T) {
	p.leaves(t)
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString(secret) + "\n"
	var nodes []*machine
	var join []string
	for i := range 3 {
		join = append(join, fmt.Sprintf("127.77.%d.%d:7400", p.subnet, i+1))
	}
	for i := range 3 {
		m := &machine{plan: p, name: fmt.Sprintf("node-%d", i), ip: fmt.Sprintf("127.77.%d.%d", p.subnet, i+1)}
		m.prepare(t, key, strings.Join(join, ","))
		nodes = append(nodes, m)
	}
	t.Cleanup(func() {
		for _, m := range nodes {
			m.kill()
			if t.Failed() {
				t.Logf("%s:\n%s", m.name, m.log.String())
			}
		}
	})
	for _, m := range nodes {
		m.start(t)
	}
	for _, m := range nodes {
		m.wait(t, p.live)
		m.wait(t, p.ready)
		m.unprivileged(t)
	}
	nodes[0].redis(t, "SET token value EX 600", "+OK")
	nodes[2].redis(t, "STRLEN token", ":5")
	for i, m := range nodes { // one after the other, by readiness, as a rolling update goes
		m.stop(t)
		m.start(t)
		m.wait(t, p.ready)
		nodes[(i+1)%3].redis(t, "STRLEN token", ":5")
	}
	nodes[1].healthy(t)
	for _, m := range nodes {
		m.stop(t)
	}
}

// leaves looks whether the hand-over fits into the time that the node has to end, and a second to close its doors.
func (p *plan) leaves(t *testing.T) {
	t.Helper()
	out, err := exec.Command(build(t), "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	help := strings.Join(strings.Fields(string(out)), " ")
	_, about, _ := strings.Cut(help, "--leave-timeout=TIME ")
	_, about, _ = strings.Cut(about, "Default: ")
	value, _, _ := strings.Cut(about, " ")
	for _, arg := range p.args {
		if given, ok := strings.CutPrefix(arg, "--leave-timeout="); ok {
			value = given
		}
	}
	if d, err := time.ParseDuration(value); err != nil || d < 20*time.Second || d+time.Second > p.grace {
		t.Errorf("--leave-timeout is %q, the node has %v to end (%v)", value, p.grace, err)
	}
}

// prepare lays out what the node sees, and fills in what Kubernetes or Docker would.
func (m *machine) prepare(t *testing.T, key, join string) {
	t.Helper()
	m.root = t.TempDir()
	for _, dir := range []string{m.root, filepath.Dir(m.root)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(build(t))
	if err != nil {
		t.Fatal(err)
	}
	m.put(t, "/huddle", string(program), 0o555)
	for path, what := range m.files {
		content := map[string]string{"key": key, "password": password + "\n"}[what]
		if content == "" {
			t.Fatalf("%s: what is %s?", path, what)
		}
		m.put(t, path, content, 0o440)
	}
	args := m.plan.args
	if m.named {
		args = append(slices.Clone(args), "--name=$(POD_NAME)")
	}
	for _, arg := range args {
		arg = strings.NewReplacer("$(POD_NAME)", m.name, "$(POD_IP)", m.ip, "0.0.0.0:", m.ip+":", "127.0.0.1:", m.ip+":").Replace(arg)
		if flag, name, ok := strings.Cut(arg, "dns:"); ok {
			if _, port, _ := net.SplitHostPort(name); port != "7400" {
				t.Errorf("%s: the nodes listen on 7400", arg)
			}
			arg = flag + join
		}
		if os.Getuid() != 0 {
			for path := range m.files {
				arg = strings.ReplaceAll(arg, path, m.root+path)
			}
		}
		m.args = append(m.args, arg)
	}
}

func (m *machine) put(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	at := filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // as a secret is mounted: root's, and readable by the pod's group
		if err := os.Chown(at, 0, m.gid); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts the node where nothing is but what was put there. Who is not root cannot do that, and runs it as himself.
func (m *machine) start(t *testing.T) {
	t.Helper()
	m.cmd = m.command(t.Context(), m.args...)
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	cmd, done := m.cmd, make(chan error, 1)
	m.done = done
	go func() { done <- cmd.Wait() }()
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/huddle", args...)
	cmd.Env = m.env
	if os.Getuid() != 0 {
		cmd.Path = m.root + "/huddle"
		return cmd
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     m.root,
		Credential: &syscall.Credential{Uid: uint32(m.uid), Gid: uint32(m.gid)},
	}
	return cmd
}

// wait asks as the kubelet does, until the answer is 200.
func (m *machine) wait(t *testing.T, probe string) {
	t.Helper()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := client.Get("http://" + m.ip + ":" + probe); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-m.done:
			m.done = nil
			t.Fatalf("%s ended: %v", m.name, err)
		case <-deadline:
			t.Fatalf("%s does not answer %s within a minute", m.name, probe)
		case <-tick.C:
		}
	}
}

// unprivileged looks whose process it is, and whether it could ever become more.
func (m *machine) unprivileged(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return
	}
	for _, want := range []string{
		fmt.Sprintf("\nUid:\t%d\t%d\t%d\t%d\n", m.uid, m.uid, m.uid, m.uid), "\nCapEff:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s: its status lacks %q", m.name, want)
		}
	}
}

// redis sends one command and compares the answer.
func (m *machine) redis(t *testing.T, command, want string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", m.ip+":"+m.plan.redis, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	ask := func(command string) string {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			t.Fatal(err)
		}
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		return strings.TrimSpace(line)
	}
	if m.password {
		if got := ask(command); !strings.HasPrefix(got, "-NOAUTH") {
			t.Errorf("%s without the password: %s", m.name, got)
		}
		if got := ask(`AUTH "` + password + `"`); got != "+OK" {
			t.Fatalf("%s: AUTH: %s", m.name, got)
		}
	}
	if got := ask(command); got != want {
		t.Errorf("%s: %s: %s, want %s", m.name, command, got, want)
	}
}

// healthy runs the health check in the same place.
func (m *machine) healthy(t *testing.T) {
	t.Helper()
	if m.status == nil {
		return
	}
	args := append(m.status, "--admin="+m.ip+":7480") // it asks 127.0.0.1, which all nodes share here
	if out, err := m.command(t.Context(), args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %v\n%s", m.name, args, err, out)
	}
}

// stop ends the node as Kubernetes, Docker and systemd do, and fails if it takes longer than they give it.
func (m *machine) stop(t *testing.T) {
	t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	select {
	case err := <-m.done:
		m.done = nil
		if err != nil {
			t.Errorf("%s after SIGTERM: %v", m.name, err)
		}
	case <-time.After(m.grace):
		t.Fatalf("%s has not ended within %v after SIGTERM", m.name, m.grace)
	}
}

// kill ends what still runs.
func (m *machine) kill() {
	if m.done == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	<-m.done
	m.done = nil
}
