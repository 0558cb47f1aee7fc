package command

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"
)

// terminal returns the two ends of a pseudo-terminal: what is written to the first is typed on the second.
func terminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return keyboard, tty
}

// What may cost all sessions is asked for on a terminal, and says so.
func TestForgetAsksOnATerminal(t *testing.T) {
	forgot := 0
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			forgot++
		}
		fmt.Fprint(w, `{"ok":true}`)
	}))
	defer ts.Close()
	admin := ts.Listener.Addr().String()
	for _, c := range []struct {
		about, typed string
		args         []string
		want         int // calls
	}{
		{"refused", "no\n", nil, 0},
		{"agreed", "yes\n", nil, 1},
		{"not asked", "", []string{"--yes"}, 1},
		{"not asked, in short", "", []string{"-y"}, 1},
	} {
		forgot = 0
		keyboard, tty := terminal(t)
		if _, err := keyboard.WriteString(c.typed); err != nil {
			t.Fatal(err)
		}
		var out, errOut bytes.Buffer
		code := Main(append([]string{"forget", "lost", "--admin", admin}, c.args...), tty, &out, &errOut)
		if forgot != c.want || (code == exitOK) != (c.want == 1) {
			t.Errorf("%s: code %d, %d calls, %s", c.about, code, forgot, errOut.String())
		}
		if asked := strings.Contains(errOut.String(), "start over, empty"); asked != (c.typed != "") {
			t.Errorf("%s: asked %v: %q", c.about, asked, errOut.String())
		}
		if code == exitOK && !strings.Contains(out.String(), "start over, empty") {
			t.Errorf("%s: the answer does not say what it costs: %q", c.about, out.String())
		}
	}
	// Where nobody can be asked, nothing is done.
	for _, args := range [][]string{{"forget", "lost"}, {"clear"}} {
		forgot = 0
		var out, errOut bytes.Buffer
		args = append(args, "--admin", admin)
		if code := Main(args, strings.NewReader("yes\n"), &out, &errOut); code != exitUsage || forgot != 0 || !strings.Contains(errOut.String(), "--yes") {
			t.Errorf("%s without a terminal: code %d, %d calls, %s", args[0], code, forgot, errOut.String())
		}
	}
}

// The status page is opened where there is somebody to see it, or as told.
func TestTheDemonstrationOpensThePageOnADesktop(t *testing.T) {
	_, tty := terminal(t)
	yes, no := true, false
	for _, c := range []struct {
		about  string
		open   *bool
		out    io.Writer
		system string
		env    map[string]string
		want   bool
	}{
		{"a desktop with X", nil, tty, "linux", map[string]string{"DISPLAY": ":0"}, true},
		{"a desktop with Wayland", nil, tty, "linux", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, true},
		{"a console", nil, tty, "linux", nil, false},
		{"a Mac", nil, tty, "darwin", nil, true},
		{"a Mac from afar", nil, tty, "darwin", map[string]string{"SSH_CONNECTION": "x"}, false},
		{"no terminal", nil, &bytes.Buffer{}, "linux", map[string]string{"DISPLAY": ":0"}, false},
		{"told to", &yes, &bytes.Buffer{}, "linux", nil, true},
		{"told not to", &no, tty, "linux", map[string]string{"DISPLAY": ":0"}, false},
	} {
		cmd := demoCmd{Open: c.open}
		if got := cmd.opens(c.out, c.system, func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: %v", c.about, got)
		}
	}
	for args, want := range map[string]*bool{"demo": nil, "demo --open": &yes, "demo --no-open": &no} {
		var g grammar
		parser, err := kong.New(&g)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Fields(args)); err != nil || (g.Demo.Open == nil) != (want == nil) || want != nil && *g.Demo.Open != *want {
			t.Errorf("%s: %v, %v", args, g.Demo.Open, err)
		}
	}
}
